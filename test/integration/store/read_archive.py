"""Reads an archive as its users would, and prints what it found as JSON."""

import json
import sys

import duckdb
import pandas
import pyarrow.dataset
import pyarrow.fs


def with_duckdb(folder):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"CREATE VIEW archive AS FROM '{folder}/date=*/*.parquet'")
    types = {name: kind for name, kind, *_ in connection.execute("DESCRIBE archive").fetchall()}
    rows = connection.execute(
        "SELECT * REPLACE (CAST(time AS VARCHAR) AS time, CAST(date AS VARCHAR) AS date) FROM archive ORDER BY run, seq"
    )
    names = [column[0] for column in rows.description]
    found = [dict(zip(names, row)) for row in rows.fetchall()]
    costs = connection.execute(
        "SELECT CAST(date AS VARCHAR), sum(cost_nano_usd)::BIGINT, count(*), list(data->>'$.topic' ORDER BY run, seq) "
        "FROM archive WHERE type = 'StepSucceeded' GROUP BY date ORDER BY date"
    ).fetchall()
    waited = connection.execute("SELECT count(*) FROM archive WHERE list_contains(alternatives, 'wait')").fetchone()
    return {"types": types, "rows": found, "costs": costs, "waited": waited}


def with_pandas(folder):
    frame = pandas.read_parquet(folder).sort_values(["run", "seq"])
    return {
        "types": {name: str(kind) for name, kind in frame.dtypes.items()},
        "time": [moment.isoformat() for moment in frame["time"]],
        "dates": [str(date) for date in frame["date"]],
        "alternatives": [list(texts) for texts in frame["alternatives"]],
        "cost": int(frame["cost_nano_usd"].sum()),
        "without_step": int(frame["step"].isna().sum()),
    }


def with_arrow_from_s3(endpoint, place, key, secret):
    files = pyarrow.fs.S3FileSystem(
        endpoint_override=endpoint, scheme="http", region="us-east-1", access_key=key, secret_key=secret
    )
    table = pyarrow.dataset.dataset(place, filesystem=files, format="parquet", partitioning="hive").to_table()
    return {
        "types": {field.name: str(field.type) for field in table.schema},
        "rows": sorted([run, seq] for run, seq in zip(table["run"].to_pylist(), table["seq"].to_pylist())),
    }


how, *where = sys.argv[1:]
readers = {"duckdb": with_duckdb, "pandas": with_pandas, "s3": with_arrow_from_s3}
json.dump(readers[how](*where), sys.stdout)
