// What to say about a Tool, and what to do: for most of them nothing is made, the gateway reads them as they are.
import { toolSecret, type ToolStatus } from '@kadre/crds';
import { isAllowed, type ToolFault } from '@kadre/tools';
import { conditionsOf, news } from '../build/readiness.ts';
import type { Health } from '../kube/conditions.ts';
import type { Settings } from '../build/settings.ts';
import type { Plan } from '../kube/plan.ts';
import { decideServer } from './server.ts';
import { isRemote, type ToolSnapshot } from './snapshot.ts';

/** Kadre may not watch Secrets, so it looks again: soon while something is missing, now and then otherwise. */
const RECHECK_MISSING_MS = 30_000;
const RECHECK_PRESENT_MS = 300_000;
const RECHECK_SANDBOXES_MS = 15_000;
const RECHECK_FEW_SANDBOXES_MS = 3_000;
const MOST_OPERATIONS = 256;
const LONGEST_NAME = 253;
const LONGEST_DESCRIPTION = 256;
const MOST_NAMED = 10;

interface Circumstances {
  settings: Settings;
  /** Milliseconds until the server is asked again; undefined: there is no need. */
  lookAgain?: number | undefined;
  now: Date;
}

export function decideTool(snapshot: ToolSnapshot, { settings, lookAgain, now }: Circumstances): Plan {
  const { tool, look } = snapshot;
  // The garbage collector takes the children.
  if (tool.metadata.deletionTimestamp !== undefined) return {};
  const offered = operationsOf(snapshot);
  const { health: down, ...acts } = decideServer(tool, snapshot.server, settings);
  const health =
    invalidRule(snapshot) ??
    missingSecret(snapshot) ??
    down ??
    ofSandboxes(snapshot, settings) ??
    trouble(snapshot) ??
    ofOperations(snapshot);
  const conditions = conditionsOf(tool, health, [], now);
  const server = look?.described?.server?.slice(0, LONGEST_NAME);
  const status: ToolStatus = {
    observedGeneration: tool.metadata.generation,
    ...(offered.length > 0 && { operations: offered }),
    ...(server && { server }),
    ...(snapshot.sandboxes && { warm: snapshot.sandboxes.ready }),
    ...(look && isRemote(tool) && { checkedAt: new Date(look.at).toISOString() }),
    conditions,
  };
  const recheck = snapshot.server.foreign.length > 0 ? RECHECK_MISSING_MS : Infinity;
  const requeueAfter = Math.min(
    recheckSecret(snapshot) ?? Infinity,
    lookAgain ?? Infinity,
    recheck,
    recheckSandboxes(snapshot),
  );
  return {
    ...acts,
    status: { ...status },
    ...(requeueAfter < Infinity && { requeueAfter }),
    ...news(tool.status?.conditions, conditions),
  };
}

function recheckSecret({ secret }: ToolSnapshot): number | undefined {
  if (secret === 'unused') return undefined;
  return secret === 'present' ? RECHECK_PRESENT_MS : RECHECK_MISSING_MS;
}

/** Each use changes how many are ready: that is told now and then, and not each time. */
function recheckSandboxes({ tool, sandboxes }: ToolSnapshot): number {
  if (!sandboxes) return Infinity;
  const all = sandboxes.ready >= (tool.spec.builtin?.code?.warm ?? 0);
  return all ? RECHECK_SANDBOXES_MS : RECHECK_FEW_SANDBOXES_MS;
}

const stalled = (reason: string, message: string): Health => ({ state: 'stalled', reason, message });

function invalidRule({ ruleProblems }: ToolSnapshot): Health | undefined {
  const [problem] = ruleProblems;
  return problem && stalled('InvalidPolicy', `${problem.path}: ${problem.message}`);
}

function missingSecret({ tool, secret }: ToolSnapshot): Health | undefined {
  const reference = toolSecret(tool.spec);
  if (!reference || secret === 'present' || secret === 'unused') return undefined;
  const where = `Secret ${reference.name} in namespace ${tool.metadata.namespace ?? ''}`;
  return stalled(
    'SecretNotFound',
    secret === 'absent'
      ? `There is no ${where}. Create it with what the server wants under the key ${reference.key}.`
      : `${where} has nothing under the key ${reference.key}. Put there what the server wants.`,
  );
}

function ofSandboxes({ tool, sandboxes }: ToolSnapshot, { sandboxImage }: Settings): Health | undefined {
  const { code } = tool.spec.builtin ?? {};
  if (code && code.image === undefined && sandboxImage === undefined) {
    return stalled(
      'NoSandboxImage',
      'Kadre was not told which image code runs in: set KADRE_SANDBOX_IMAGE, or name one in spec.builtin.code.image.',
    );
  }
  const trouble = sandboxes?.trouble;
  return trouble && { state: 'progressing', reason: trouble.reason, message: `Its sandboxes: ${trouble.message}` };
}

const AGAIN = 'It is asked again by itself.';

/** The reason of the condition, and what there is to say besides what is said already. */
const faults: Record<ToolFault, readonly [reason: string, mend?: string]> = {
  unreachable: [
    'Unreachable',
    `Look at the address, the server, and the network policy of Kadre, which by itself lets only port 443 out. ${AGAIN}`,
  ],
  timeout: ['TimedOut', `Look at the server. ${AGAIN}`],
  refused: ['Refused'],
  unauthorized: ['Unauthorized'],
  rateLimited: ['RateLimited', AGAIN],
  tooLarge: ['AnswerTooLarge'],
  malformed: ['InvalidAnswer', 'Look at the server, and whether it is what the Tool says.'],
  status: ['ServerFailed', `Look at the address and the server. ${AGAIN}`],
  misconfigured: ['InvalidSpec'],
};

function trouble({ tool, look }: ToolSnapshot): Health | undefined {
  if (!look?.error) return undefined;
  const { fault, message, retry } = look.error;
  const [reason, mend = ''] = faults[fault];
  const ofDocument = tool.spec.openapi !== undefined && (fault === 'malformed' || fault === 'misconfigured');
  return {
    // What may pass by itself is no reason for GitOps to give up.
    state: retry || fault === 'unreachable' || fault === 'timeout' ? 'progressing' : 'stalled',
    reason: ofDocument ? 'InvalidDocument' : reason,
    message: `${message} ${mend}`.trim(),
  };
}

function ofOperations(snapshot: ToolSnapshot): Health {
  const { tool, look } = snapshot;
  const { operations = [], leftOut = [] } = look?.described ?? {};
  const names = operations.flatMap(({ name }) => name ?? []).sort();
  const { allow } = tool.spec;
  if (operations.length === 0) {
    const why = leftOut.length > 0 ? ` What there is cannot be called: ${someOf(leftOut)}.` : '';
    return stalled('NoOperations', `There is nothing that agents could call.${why}`);
  }
  const idle = (allow ?? []).filter((pattern) => !names.some((name) => isAllowed([pattern], name)));
  if (allow && idle.length === allow.length)
    return stalled('NoOperations', `spec.allow fits none of the operations. There are: ${someOf(names)}.`);
  const count = allow ? names.filter((name) => isAllowed(allow, name)).length : operations.length;
  const said = [
    names.length === 0 ? 'Agents can call it.' : `Agents can call ${count} of ${operations.length} operations.`,
    ...(idle.length > 0 ? [`In spec.allow, nothing fits ${someOf(idle)}.`] : []),
    ...(leftOut.length > 0 ? [`Left out: ${someOf(leftOut)}.`] : []),
  ];
  return { state: 'ready', reason: 'Ready', message: said.join(' ') };
}

/** Sorted, so that a server that shuffles its tools changes nothing here. */
function operationsOf({ tool, look }: ToolSnapshot): NonNullable<ToolStatus['operations']> {
  const named = (look?.described?.operations ?? []).flatMap(({ name, description }) =>
    name === undefined || name.length > LONGEST_NAME || !isAllowed(tool.spec.allow, name)
      ? []
      : [{ name, description }],
  );
  return named
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .slice(0, MOST_OPERATIONS)
    .map(({ name, description }) => ({
      name: name.toWellFormed(),
      ...(description !== '' && { description: description.slice(0, LONGEST_DESCRIPTION).toWellFormed() }),
    }));
}

function someOf(names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMED).map((name) => name.slice(0, LONGEST_NAME));
  const rest = names.length - shown.length;
  return shown.join(', ') + (rest > 0 ? `, and ${rest} more` : '');
}

/** What to say when the API server refuses a child. */
export function rejectedTool({ tool }: ToolSnapshot, message: string, now: Date): Plan {
  const conditions = conditionsOf(tool, stalled('Rejected', message), [], now);
  const status: ToolStatus = { observedGeneration: tool.metadata.generation, conditions };
  return { status: { ...status }, ...news(tool.status?.conditions, conditions) };
}
