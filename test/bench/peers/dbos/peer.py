"""DBOS Transact for Python on SQLite, with WAL as Kadre's own store has it: that is faster than its default, and syncs
as much. How it talks with the benchmark: see serve.ts."""

import asyncio
import json
import os
import sqlite3
import sys
import time

from dbos import DBOS

path = os.path.join(os.environ["BENCH_DATA"], "dbos.sqlite")
sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").connection.close()
DBOS(
    config={
        "name": "bench",
        "system_database_url": f"sqlite:///{path}",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
def step(i: int) -> int:
    return i


@DBOS.step()
async def async_step(i: int) -> int:
    return i


@DBOS.workflow()
def chain(count: int) -> None:
    for i in range(count):
        step(i)


@DBOS.workflow()
async def fan_out(count: int) -> int:
    return len(await asyncio.gather(*[async_step(i) for i in range(count)]))


def runs(count: int) -> None:
    handles = [queue.enqueue(chain, 1) for _ in range(count)]
    for handle in handles:
        handle.get_result()


loads = {"chain": chain, "fan-out": lambda count: asyncio.run(fan_out(count)), "runs": runs}

DBOS.launch()
# By default it looks into a queue once a second.
queue = DBOS.register_queue("bench", polling_interval_sec=0.05)

with os.fdopen(3, "w", buffering=1) as answers:
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            started = time.perf_counter()
            loads[asked["load"]](asked["count"])
            answer = {"seconds": time.perf_counter() - started}
        except Exception as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers)
os._exit(0)
