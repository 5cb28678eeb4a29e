import type { DatabaseSync } from 'node:sqlite';

const RECORD = 'SELECT request, state, uid, failure, cancelled FROM run_requests';
const OPEN = "state IN ('requested', 'made')";

export function ofRunRequests(sql: (text: string) => ReturnType<DatabaseSync['prepare']>) {
  return {
    insertRunRequest: sql('INSERT INTO run_requests (key, request, at) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING'),
    cancelRunRequest: sql(`UPDATE run_requests SET cancelled = 1 WHERE key = ? AND cancelled = 0 AND ${OPEN}`),
    runRequest: sql(`${RECORD} WHERE key = ?`),
    requestOfRun: sql(`${RECORD} WHERE uid = ?`),
    openRunRequests: sql(`${RECORD} WHERE ${OPEN} ORDER BY number`),
    runRequestMade: sql(`UPDATE run_requests SET state = 'made', uid = ? WHERE key = ? AND state = 'requested'`),
    endRunRequest: sql(
      `UPDATE run_requests SET state = iif(?1 IS NULL, 'over', 'refused'), failure = ?1 WHERE key = ?2 AND ${OPEN}`,
    ),
    pruneRunRequests: sql(`DELETE FROM run_requests WHERE at < ? AND NOT ${OPEN}`),
  };
}
