// POST /v1/code: the program of a step, run once and kept in the journal.
import { CODE_PATH, codeCall, REPLAYED_HEADER, type CodeCall, type CodeResult } from '@kadre/crds';
import { SandboxFailure, type SandboxHost } from '@kadre/sandbox';
import type { JournalKey } from '@kadre/store';
import type { FastifyInstance } from 'fastify';
import { createHash } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { held, type DoorServices } from '../doors/door.ts';
import { invalidRequest, unavailable } from '../errors.ts';
import { committed, createEntries, type JournalStore } from '../journal/entries.ts';
import { toolKey } from '../journal/tool-journal.ts';
import { idempotencyKey } from '../tools/request.ts';
import { DEFAULT_SANDBOX, jobOf, runProgram, stopOf } from './programs.ts';

type CodeDoorServices = Pick<DoorServices, 'clock' | 'limits' | 'closing'> & {
  store: JournalStore;
  sandboxes: SandboxHost;
};

/** Beyond the time of the program: a sandbox may have to come about first. */
const SANDBOX_MS = 120_000;

export function registerCode(api: FastifyInstance, services: CodeDoorServices): void {
  const { store, clock, closing, limits, sandboxes } = services;
  const begin = createEntries<{ code: CodeResult }>(store, clock);
  api.post(CODE_PATH, { config: { engines: 'only' } }, async (http, reply) => {
    const { record, headers } = http;
    const caller = record.caller as Caller;
    const asked = parse(http.body);
    const patience = { clock, closing, limits: { ...limits, callMs: asked.timeoutMs + SANDBOX_MS } };
    return held(http, reply, patience, async (signal) => {
      if (!caller.step) throw invalidRequest('Code is run on behalf of a step.');
      const key = toolKey(caller.step, headers);
      const entry = await begin({ key, hash: hashOf(asked), kind: 'code', signal });
      if (entry.type === 'replay') {
        record.replayed = true;
        void reply.header(REPLAYED_HEADER, 'true');
        return entry.answer.code;
      }
      try {
        const result = await run(sandboxes, asked, { id: http.id, key, caller, signal });
        await committed(entry, { code: result }, 'The result');
        return result;
      } finally {
        entry.end();
      }
    });
  });
}

function parse(body: unknown): CodeCall {
  const parsed = codeCall.safeParse(body);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalidRequest(
    `The body must be {"language": …, "source": …, "timeoutMs": …}: ${issue?.message ?? ''}`,
    issue?.path.join('.'),
  );
}

/** How long it may take does not change what it does: whoever asks again may have less time left. */
const hashOf = ({ language, source, input, files, sandbox }: CodeCall): string =>
  createHash('sha256')
    .update(JSON.stringify(['code', language, source, input, files, sandbox]))
    .digest('hex');

interface Errand {
  /** Of the request. */
  id: string;
  key: JournalKey;
  caller: Caller;
  signal: AbortSignal;
}

async function run(host: SandboxHost, asked: CodeCall, { id, key, caller, signal }: Errand): Promise<CodeResult> {
  const spec = asked.sandbox ?? DEFAULT_SANDBOX;
  const readied = jobOf(asked, spec, asked.timeoutMs);
  if ('problem' in readied) return { failure: { reason: 'CodeFailed', message: readied.problem } };
  const { run: uid, step, attempt, call } = key;
  try {
    const { end, stdout, stderr } = await runProgram(host, spec, readied.job, {
      caller: { namespace: caller.namespace, step: { run: uid, step, attempt, call } },
      idempotencyKey: idempotencyKey({ id, key }),
      signal,
    });
    const failure = stopOf(end.reason, readied.job) ?? noOutput(end.outputProblem);
    if (failure) return { failure };
    const { exitCode = 0, output, files } = end;
    return { exitCode, stdout, stderr, files, ...(output !== undefined && { output }) };
  } catch (error) {
    if (!(error instanceof SandboxFailure)) throw error;
    if (!error.mayHaveRun && error.fault !== 'Refused') throw unavailable(error.message, '1', error);
    return { failure: { reason: 'CodeFailed', message: error.message } };
  }
}

const noOutput = (problem: string | undefined) =>
  problem === undefined
    ? undefined
    : { reason: 'InvalidOutput' as const, message: `The output of the program is of no use: ${problem}` };
