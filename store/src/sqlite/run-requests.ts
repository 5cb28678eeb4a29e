// Runs that are asked for.
import type { Failure } from '@kadre/crds';
import { json, optionalJson } from '../json.ts';
import { runRequestOf, type RunRequestRow } from '../rows.ts';
import type { RunRequest, RunRequests } from '../run-requests.ts';
import type { Access } from './access.ts';

export function runRequests({ sql, write, read }: Access) {
  const found = (row: unknown) => (row === undefined ? undefined : runRequestOf(row as RunRequestRow));
  return {
    requestRun: (request: RunRequest) =>
      write((touch) => {
        const { key, at } = request;
        if (sql.insertRunRequest.run(key, json(request), at).changes > 0) touch('run-requests', key);
        return runRequestOf(sql.runRequest.get(key) as unknown as RunRequestRow);
      }),
    cancelRunRequest: (key: string) =>
      write((touch) => {
        if (sql.cancelRunRequest.run(key).changes > 0) touch('run-requests', key);
      }),
    runRequest: (key: string) => read(() => found(sql.runRequest.get(key))),
    requestOfRun: (uid: string) => read(() => found(sql.requestOfRun.get(uid))),
    openRunRequests: () =>
      read(() => (sql.openRunRequests.all() as unknown as RunRequestRow[]).map((row) => runRequestOf(row))),
    runRequestMade: (key: string, uid: string) =>
      write((touch) => {
        if (sql.runRequestMade.run(uid, key).changes > 0) touch('run-requests', key);
      }),
    endRunRequest: (key: string, failure?: Failure) =>
      write((touch) => {
        if (sql.endRunRequest.run(optionalJson(failure), key).changes > 0) touch('run-requests', key);
      }),
  } satisfies RunRequests;
}
