// GET /v1/tools: what the caller's agent may use. POST /v1/tools/call: one call of it.
import { REPLAYED_HEADER, TOOL_CALL_PATH, TOOLS_PATH, toolCall, type ToolCall, type ToolList } from '@kadre/crds';
import type { SandboxHost } from '@kadre/sandbox';
import { askExecutor, codeExecutor, createToolbox, workflowExecutor, type Executor } from '@kadre/tools';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { cancelling } from '../delegation/cancel.ts';
import { createDelegations } from '../delegation/carry-out.ts';
import { longAnswer } from '../delegation/long-answer.ts';
import { isDelegation } from '../delegation/names.ts';
import { withAgents } from '../delegation/offers.ts';
import { held, type DoorServices } from '../doors/door.ts';
import { invalidRequest } from '../errors.ts';
import { createToolJournal } from '../journal/tool-journal.ts';
import type { Share } from '../limits/limits.ts';
import type { GatewayOptions, ToolSource } from '../options.ts';
import type { DecisionLog } from '../routing/decision-log.ts';
import { withKnowledge } from '../knowledge/search.ts';
import { runInTool } from '../sandbox/code-tool.ts';
import { createRunWorkflow } from '../workflow-tool/run-workflow.ts';
import { createApprovals } from './approvals.ts';
import { createCallTool, type CallTool } from './call.ts';
import { createDiscovery, type Offered } from './discovery.ts';
import { createGates } from './gates.ts';
import { createOffers, type Offers } from './offers.ts';
import { createPinnedList, type PinnedList } from './pinned-list.ts';
import { createPolicy } from './policy.ts';
import { withProgress } from './progress.ts';
import { createToolSecrets } from './secrets.ts';
import { createVerdicts } from './verdicts.ts';
import { createWatch } from './watch.ts';

export type ToolDoorServices = Pick<DoorServices, 'clock' | 'limits' | 'closing'> & {
  share: () => Share;
  decisions: DecisionLog;
  sandboxes: SandboxHost;
  /** Searches Knowledge. Absent: there is none. */
  search: Executor | undefined;
} & Pick<
    GatewayOptions,
    | 'tools'
    | 'workflows'
    | 'knowledge'
    | 'agents'
    | 'secrets'
    | 'store'
    | 'logger'
    | 'registry'
    | 'spans'
    | 'clusterDomain'
  >;

export interface ToolDoor {
  /** Adds its routes, behind the check of tokens. */
  register(api: FastifyInstance): void;
  /** Lets go of calls that wait for people. */
  letGo(): void;
  close(): Promise<void>;
}

/** Says which Tools are granted and cannot be offered now. */
const LEFT_OUT_HEADER = 'kadre-tools-left-out';
const LONGEST_DESCRIPTION = 1024;
/** Whoever waits for people is told so by the status before that. */
const FIRST_BLANK_MS = 25_000;
/** An agent that is asked has a limit of its own. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const noTools: ToolSource = { grants: () => [], get: () => undefined };

export function createToolDoor(services: ToolDoorServices): ToolDoor {
  const { clock, limits, store, registry, spans, logger } = services;
  const approvals = createApprovals(store, clock);
  const workflowOf = (namespace: string, name: string) => services.workflows?.get(namespace, name);
  const toolbox = createToolbox({
    allowLoopback: limits.allowLoopback,
    clock,
    home: {
      kinds: {
        workflow: workflowExecutor(workflowOf, createRunWorkflow(store, clock)),
        ...(services.search && { knowledge: services.search }),
      },
      builtins: {
        ask: askExecutor((call) => approvals.answer(call)),
        code: codeExecutor(runInTool(services.sandboxes)),
      },
    },
    ...(services.clusterDomain !== undefined && { clusterDomain: services.clusterDomain }),
  });
  const secretsOf = createToolSecrets(services.secrets, clock);
  const discovery = createDiscovery({ toolbox, secretsOf, clock, logger });
  const journal = createToolJournal(store, clock);
  const source = services.agents;
  const delegations = source && createDelegations({ source, store, journal, clock });
  const ofTools = createOffers(withKnowledge(services.tools ?? noTools, services.knowledge), discovery);
  const offers = delegations ? withAgents(ofTools, source) : ofTools;
  const policy = createPolicy({ store, clock, limits });
  const callTool = createCallTool({
    journal,
    offers,
    policy,
    approvals,
    gates: createGates(services),
    toolbox,
    delegations,
    secretsOf,
    decide: createVerdicts(services.decisions, clock),
    watch: createWatch({ registry, spans, logger, clock }),
  });
  return {
    register: (api) => {
      listing(api, services, offers, createPinnedList(store, clock));
      calling(api, services, callTool);
      if (delegations) cancelling(api, { ...services, offers, delegations, parse });
    },
    letGo: () => approvals.letGo(),
    close: async () => {
      discovery.close();
      await Promise.all([toolbox.close(), policy.close(), delegations?.close()]);
    },
  };
}

function listing(api: FastifyInstance, services: ToolDoorServices, offers: Offers, pinned: PinnedList): void {
  api.get(TOOLS_PATH, (http, reply) =>
    held(http, reply, services, (signal): Promise<ToolList> => {
      const caller = http.record.caller as Caller;
      return pinned(caller.step, signal, async () => {
        const { offered, leftOut } = await offers.list(caller, signal);
        if (leftOut.length > 0) void reply.header(LEFT_OUT_HEADER, leftOut.join(', '));
        return { tools: offered.map(listed) };
      });
    }),
  );
}

const listed = ({ functionName, description, inputSchema, delegation }: Offered): ToolList['tools'][number] => ({
  name: functionName,
  description: description.slice(0, LONGEST_DESCRIPTION),
  inputSchema,
  ...(delegation && { delegation }),
});

function calling(api: FastifyInstance, services: ToolDoorServices, callTool: CallTool): void {
  const patient = { ...services, limits: { ...services.limits, callMs: LONGEST_TIMER_MS } };
  const call = async (
    http: FastifyRequest,
    reply: FastifyReply,
    asked: ToolCall,
    signal: AbortSignal,
    progress?: (text: string) => void,
  ) => {
    const { id, headers, record } = http;
    const caller = record.caller as Caller;
    const told = await callTool({ id, caller, headers, signal, record, asked, progress });
    if ('pending' in told) {
      void reply.code(202);
      return told;
    }
    if (told.replayed) {
      record.replayed = true;
      void reply.header(REPLAYED_HEADER, 'true');
    }
    return told.result;
  };
  api.post(TOOL_CALL_PATH, { config: { engines: 'too' } }, (http, reply) => {
    const asked = parse(http.body);
    const { namespace } = http.record.caller as Caller;
    const runsWorkflow = services.tools?.get(namespace, asked.name)?.spec.workflow !== undefined;
    if (!isDelegation(asked.name) && !runsWorkflow) {
      return held(http, reply, services, (signal) =>
        withProgress(http, reply, services.clock, (progress) => call(http, reply, asked, signal, progress)),
      );
    }
    return held(http, reply, patient, (signal) =>
      longAnswer(
        http,
        reply,
        services.clock,
        () => call(http, reply, asked, signal),
        runsWorkflow ? FIRST_BLANK_MS : undefined,
      ),
    );
  });
}

function parse(body: unknown): ToolCall {
  const parsed = toolCall.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest(
    'The body must be {"name": …, "arguments": JSON text, "tainted": true or false if it is no step}.',
  );
}
