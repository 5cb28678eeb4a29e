// Decision records as a Parquet file. https://parquet.apache.org/docs/file-format/
import { zstdCompressSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { DecisionRecord } from './record.ts';

/** From time to time in one group of rows: what a reader decodes at once. */
const ROWS_PER_GROUP = 20_000;

type Kind = 'text' | 'texts' | 'int32' | 'int64' | 'time';

interface Column {
  name: string;
  kind: Kind;
  optional?: boolean;
  of: (record: DecisionRecord) => unknown;
}

const COLUMNS: Column[] = [
  { name: 'run', kind: 'text', of: (record) => record.run },
  { name: 'namespace', kind: 'text', of: (record) => record.namespace },
  { name: 'name', kind: 'text', of: (record) => record.name },
  { name: 'subject', kind: 'text', of: (record) => record.subject },
  { name: 'seq', kind: 'int32', of: (record) => record.seq },
  // SQL has reserved `at`.
  { name: 'time', kind: 'time', of: (record) => record.at },
  { name: 'type', kind: 'text', of: (record) => record.type },
  { name: 'step', kind: 'text', optional: true, of: (record) => record.step },
  { name: 'attempt', kind: 'int32', optional: true, of: (record) => record.attempt },
  { name: 'what', kind: 'text', of: (record) => record.what },
  { name: 'why', kind: 'text', optional: true, of: (record) => record.why },
  { name: 'alternatives', kind: 'texts', of: (record) => record.alternatives },
  { name: 'inputs', kind: 'texts', of: (record) => record.inputs },
  { name: 'who', kind: 'text', of: (record) => record.who },
  { name: 'version', kind: 'text', of: (record) => record.version },
  { name: 'cost_nano_usd', kind: 'int64', optional: true, of: (record) => record.costNanoUsd },
  { name: 'input_tokens', kind: 'int64', optional: true, of: (record) => record.inputTokens },
  { name: 'output_tokens', kind: 'int64', optional: true, of: (record) => record.outputTokens },
  { name: 'data', kind: 'text', of: (record) => record.data },
];

export function parquetOf(records: readonly DecisionRecord[]): Uint8Array {
  const file = parquetWriteBuffer({
    columnData: COLUMNS.map(({ name, kind, of }) => ({
      name,
      data: records.map((record) => written(kind, of(record))),
    })),
    schema: [{ name: 'root', num_children: COLUMNS.length }, ...COLUMNS.flatMap(schemaOf)],
    codec: 'ZSTD',
    compressors: { ZSTD: (bytes) => zstdCompressSync(bytes) },
    rowGroupSize: ROWS_PER_GROUP,
    createdBy: 'kadre',
  });
  return new Uint8Array(file);
}

/** Throws a TypeError for a record that does not fit into the columns. */
export function checkRecord(record: DecisionRecord): DecisionRecord {
  for (const { name, kind, optional, of } of COLUMNS) {
    const value = of(record);
    if (optional && value === undefined) continue;
    if (!FITS[kind](value)) throw new TypeError(`${name} of event ${record.seq} must be ${WANTED[kind]}`);
  }
  return record;
}

const FITS: Record<Kind, (value: unknown) => boolean> = {
  text: (value) => typeof value === 'string',
  texts: (value) => Array.isArray(value) && value.every((text) => typeof text === 'string'),
  int32: (value) => Number.isInteger(value) && (value as number) === ((value as number) | 0),
  int64: Number.isSafeInteger,
  time: Number.isSafeInteger,
};

const WANTED: Record<Kind, string> = {
  text: 'a string',
  texts: 'a list of strings',
  int32: 'an integer of 32 bits',
  int64: 'an integer',
  time: 'milliseconds since 1970',
};

function written(kind: Kind, value: unknown): unknown {
  return typeof value === 'number' && kind !== 'int32' ? BigInt(value) : value;
}

type Schema = NonNullable<Parameters<typeof parquetWriteBuffer>[0]['schema']>;

function schemaOf({ name, kind, optional }: Column): Schema {
  const repetition_type = optional ? 'OPTIONAL' : 'REQUIRED';
  const text = { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } } as const;
  switch (kind) {
    case 'text':
      return [{ name, repetition_type, ...text }];
    case 'texts':
      return [
        { name, repetition_type, num_children: 1, converted_type: 'LIST', logical_type: { type: 'LIST' } },
        { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
        { name: 'element', repetition_type: 'REQUIRED', ...text },
      ];
    case 'int32':
      return [{ name, repetition_type, type: 'INT32' }];
    case 'int64':
      return [{ name, repetition_type, type: 'INT64' }];
    case 'time':
      return [
        {
          name,
          repetition_type,
          type: 'INT64',
          converted_type: 'TIMESTAMP_MILLIS',
          logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
        },
      ];
  }
}
