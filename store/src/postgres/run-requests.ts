// Runs that are asked for.
import type { Failure } from '@kadre/crds';
import { json, optionalJson } from '../json.ts';
import { runRequestOf, type RunRequestRow } from '../rows.ts';
import type { RunRequest, RunRequests } from '../run-requests.ts';
import type { Access } from './access.ts';
import type { StatementName } from './statements.ts';

export function runRequests({ db, touch }: Access) {
  const one = async (statement: StatementName, key: string) => {
    const [row] = await db.read<RunRequestRow>(statement, [key]);
    return row && runRequestOf(row);
  };
  const change = async (statement: StatementName, values: (string | number | null)[], key: string) => {
    const { count, unsure } = await db.write(statement, values);
    if (count > 0 || unsure) touch('run-requests', key);
  };
  return {
    requestRun: async (request: RunRequest) => {
      const { key, at } = request;
      await change('insertRunRequest', [key, json(request), at], key);
      const record = await one('runRequest', key);
      if (!record) throw new Error(`The request for run ${request.name} was removed while it was made`);
      return record;
    },
    cancelRunRequest: (key: string) => change('cancelRunRequest', [key], key),
    runRequest: (key: string) => one('runRequest', key),
    requestOfRun: (uid: string) => one('requestOfRun', uid),
    openRunRequests: async () => (await db.read<RunRequestRow>('openRunRequests')).map(runRequestOf),
    runRequestMade: (key: string, uid: string) => change('runRequestMade', [uid, key], key),
    endRunRequest: (key: string, failure?: Failure) => change('endRunRequest', [optionalJson(failure), key], key),
  } satisfies RunRequests;
}
