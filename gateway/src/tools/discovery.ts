// What each Tool offers, as it was last seen. Asking a server before each call would double the way to it, and a server that
// is away for a moment must not take the tools of its agents along.
import type { Tool, ToolList } from '@kadre/crds';
import { BoundedMap } from '@kadre/store';
import { ToolError, type Operation, type ReadSecret, type Toolbox } from '@kadre/tools';
import type { Logger } from 'pino';
import type { Clock } from '../options.ts';
import { orAborted } from '../or-aborted.ts';
import { functionNames } from './function-names.ts';

const FRESH_MS = 300_000;
/** A server that could not be asked, or had nothing new, is left alone for so long. */
const REST_MS = 5_000;
const DESCRIBE_MS = 10_000;
/** For so long after a failure nobody who asks for many waits for the next try. */
const FAILED_MS = 60_000;
const CAPACITY = 2_000;
const MOST_OPERATIONS = 1_000;

export interface Offered extends Operation {
  tool: Tool;
  /** As the model calls it. */
  functionName: string;
  /** Another agent is asked: `tool` stands for it, and no toolbox knows how to call that. */
  delegation?: NonNullable<ToolList['tools'][number]['delegation']>;
}

export interface Discovery {
  /** Throws a ToolError if it was never seen and cannot be asked now; the reason of the signal if that aborts. */
  offered(tool: Tool, signal: AbortSignal): Promise<readonly Offered[]>;
  /** The same for a list of many Tools: one that could not be asked lately holds up nobody while it is asked again. */
  offeredSoon(tool: Tool, signal: AbortSignal): Promise<readonly Offered[]>;
  /** The same, and asks again first unless that was done just now. */
  offeredNow(tool: Tool, signal: AbortSignal): Promise<readonly Offered[]>;
  close(): void;
}

interface Seen {
  generation: number;
  offered?: readonly Offered[];
  error?: unknown;
  failedAt: number;
  askedAt: number;
  /** When it went well. */
  seenAt: number;
  asking?: Promise<void> | undefined;
}

interface DiscoveryOptions {
  toolbox: Pick<Toolbox, 'describe'>;
  secretsOf: (namespace: string) => ReadSecret;
  clock: Clock;
  logger: Pick<Logger, 'warn'>;
}

export function createDiscovery({ toolbox, secretsOf, clock, logger }: DiscoveryOptions): Discovery {
  const known = new BoundedMap<string, Seen>(CAPACITY);
  const closing = new AbortController();

  const ask = async (tool: Tool, seen: Seen): Promise<void> => {
    const { namespace = '', name } = tool.metadata;
    const controller = new AbortController();
    const timeout = new ToolError('timeout', `It did not say within ${DESCRIBE_MS / 1000} s what it offers.`);
    const cancel = clock.after(DESCRIBE_MS, () => controller.abort(timeout));
    seen.askedAt = clock.now();
    try {
      const signal = AbortSignal.any([controller.signal, closing.signal]);
      const { operations } = await toolbox.describe(tool, secretsOf(namespace), signal);
      seen.offered = named(tool, operations.slice(0, MOST_OPERATIONS));
      seen.seenAt = clock.now();
      delete seen.error;
    } catch (error) {
      seen.error = error;
      seen.failedAt = clock.now();
      const message = error instanceof ToolError ? error.message : 'see the cause';
      const cause = error instanceof ToolError ? {} : { err: error };
      logger.warn({ namespace, tool: name, error: message, ...cause }, 'A Tool could not be asked what it offers.');
    } finally {
      cancel();
      seen.asking = undefined;
    }
  };

  const seenOf = (tool: Tool): Seen => {
    const { uid, generation } = tool.metadata;
    const seen = known.get(uid);
    if (seen && seen.generation >= generation) return seen;
    const fresh: Seen = { generation, failedAt: -Infinity, askedAt: -Infinity, seenAt: -Infinity };
    known.set(uid, fresh);
    return fresh;
  };

  const answered = async (
    tool: Tool,
    signal: AbortSignal,
    { again = false, hurried = false } = {},
  ): Promise<readonly Offered[]> => {
    const seen = seenOf(tool);
    const now = clock.now();
    const due = again || now - seen.seenAt >= FRESH_MS;
    if (due && now - seen.askedAt >= REST_MS) seen.asking ??= ask(tool, seen);
    // What is known is good enough while somebody looks whether it still holds.
    const good = seen.offered ? !again : hurried && now - seen.failedAt < FAILED_MS;
    if (seen.asking && !good) await orAborted(seen.asking, signal);
    if (seen.offered) return seen.offered;
    throw seen.error;
  };

  return {
    offered: (tool, signal) => answered(tool, signal),
    offeredSoon: (tool, signal) => answered(tool, signal, { hurried: true }),
    offeredNow: (tool, signal) => answered(tool, signal, { again: true }),
    close: () => closing.abort(new ToolError('unreachable', 'The gateway is shutting down.')),
  };
}

function named(tool: Tool, operations: readonly Operation[]): Offered[] {
  const names = functionNames(
    tool.metadata.name,
    operations.map(({ name }) => name),
  );
  return operations.map((operation, index) => ({ ...operation, tool, functionName: names[index] ?? '' }));
}
