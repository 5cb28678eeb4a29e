// Gives a job to a runner that listens on a port, and follows it to its end.
import type { Client } from 'undici';
import { readEvents } from './events.ts';
import { SandboxFailure } from './failure.ts';
import type { SandboxEnd, SandboxJob, SandboxOutput } from './protocol.ts';

export interface SandboxPlace {
  /** Such as http://10.0.0.7:8080. */
  url: string;
  key: string;
}

export interface RunOptions {
  /** Its end is the end of the program. */
  signal: AbortSignal;
  onOutput?: (piece: SandboxOutput) => void;
  /** How long beyond its own limits a sandbox may take before it counts as dead. Default 15 s. */
  graceMs?: number;
}

const GRACE_MS = 15_000;
const CONNECT_MS = 2_000;
const MAX_WORDS = 1_000;

/**
 * @returns how the program ended, also if it was stopped at a limit
 * @throws SandboxFailure if the sandbox was not there, would not, or died; the signal's reason if that ended it
 */
export async function runInSandbox(place: SandboxPlace, job: SandboxJob, options: RunOptions): Promise<SandboxEnd> {
  options.signal.throwIfAborted();
  const deadline = AbortSignal.timeout(job.limits.timeoutMs + (options.graceMs ?? GRACE_MS));
  const signal = AbortSignal.any([options.signal, deadline]);
  // Loaded with the first call: whoever only asks what can be on a laptop does not need it.
  const { Client } = await import('./http-client.ts');
  const client = new Client(place.url, { connectTimeout: CONNECT_MS, headersTimeout: 0, bodyTimeout: 0 });
  let connected = false;
  client.once('connect', () => (connected = true));
  try {
    const body = await give(client, place, job, signal);
    return await readEvents(body, job.limits, options.onOutput);
  } catch (error) {
    options.signal.throwIfAborted();
    throw asFailure(error, { late: deadline.aborted, connected });
  } finally {
    // The runner takes a broken connection for the end of its job.
    client.destroy().catch(() => undefined);
  }
}

async function give(client: Client, { key }: SandboxPlace, job: SandboxJob, signal: AbortSignal) {
  const { statusCode, body } = await client.request({
    method: 'POST',
    path: '/job',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(job),
    signal,
  });
  if (statusCode === 200) return body;
  if (statusCode === 409) throw new SandboxFailure('Taken', 'The sandbox has had its one job already.');
  throw new SandboxFailure('Refused', `The sandbox refused the job (${statusCode}): ${await wordsOf(body)}`);
}

/** Said by the runner while there was no program yet to speak in its place. */
async function wordsOf(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let room = MAX_WORDS;
  for await (const chunk of body) {
    chunks.push(chunk.subarray(0, room));
    room -= chunk.byteLength;
    if (room <= 0) break;
  }
  return Buffer.concat(chunks).toString();
}

function asFailure(error: unknown, { late, connected }: { late: boolean; connected: boolean }): SandboxFailure {
  if (error instanceof SandboxFailure) return error;
  const options = { cause: error };
  if (!connected) return new SandboxFailure('Unreachable', 'The sandbox cannot be reached.', options);
  if (late) return new SandboxFailure('Died', 'The sandbox did not answer in its time.', options);
  return new SandboxFailure('Died', 'The sandbox went away before its program had ended.', options);
}
