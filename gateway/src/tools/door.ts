// GET /v1/tools: what the caller's agent may use. POST /v1/tools/call: one call of it.
import { REPLAYED_HEADER, TOOL_CALL_PATH, TOOLS_PATH, toolCall, type ToolCall, type ToolList } from '@kadre/crds';
import type { SandboxHost } from '@kadre/sandbox';
import { askExecutor, codeExecutor, createToolbox } from '@kadre/tools';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { held, type DoorServices } from '../doors/door.ts';
import { invalidRequest } from '../errors.ts';
import { createToolJournal } from '../journal/tool-journal.ts';
import type { Share } from '../limits/limits.ts';
import type { GatewayOptions, ToolSource } from '../options.ts';
import type { DecisionLog } from '../routing/decision-log.ts';
import { createApprovals } from './approvals.ts';
import { createCallTool, type CallTool } from './call.ts';
import { createDiscovery, type Offered } from './discovery.ts';
import { createGates } from './gates.ts';
import { createOffers, type Offers } from './offers.ts';
import { runInTool } from '../sandbox/code-tool.ts';
import { createPinnedList, type PinnedList } from './pinned-list.ts';
import { createPolicy } from './policy.ts';
import { createToolSecrets } from './secrets.ts';
import { createVerdicts } from './verdicts.ts';
import { createWatch } from './watch.ts';

export type ToolDoorServices = Pick<DoorServices, 'clock' | 'limits' | 'closing'> & {
  share: () => Share;
  decisions: DecisionLog;
  sandboxes: SandboxHost;
} & Pick<GatewayOptions, 'tools' | 'agents' | 'secrets' | 'store' | 'logger' | 'registry' | 'spans' | 'clusterDomain'>;

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
const noTools: ToolSource = { grants: () => [], get: () => undefined };

export function createToolDoor(services: ToolDoorServices): ToolDoor {
  const { clock, limits, store, registry, spans, logger } = services;
  const approvals = createApprovals(store, clock);
  const toolbox = createToolbox({
    allowLoopback: limits.allowLoopback,
    clock,
    home: {
      builtins: {
        ask: askExecutor((call) => approvals.answer(call)),
        code: codeExecutor(runInTool(services.sandboxes)),
      },
    },
    ...(services.clusterDomain !== undefined && { clusterDomain: services.clusterDomain }),
  });
  const secretsOf = createToolSecrets(services.secrets, clock);
  const discovery = createDiscovery({ toolbox, secretsOf, clock, logger });
  const offers = createOffers(services.tools ?? noTools, discovery);
  const policy = createPolicy({ store, clock, limits });
  const callTool = createCallTool({
    journal: createToolJournal(store, clock),
    offers,
    policy,
    approvals,
    gates: createGates(services),
    toolbox,
    secretsOf,
    decide: createVerdicts(services.decisions, clock),
    watch: createWatch({ registry, spans, logger, clock }),
  });
  return {
    register: (api) => {
      listing(api, services, offers, createPinnedList(store, clock));
      calling(api, services, callTool);
    },
    letGo: () => approvals.letGo(),
    close: async () => {
      discovery.close();
      await Promise.all([toolbox.close(), policy.close()]);
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

const listed = ({ functionName, description, inputSchema }: Offered): ToolList['tools'][number] => ({
  name: functionName,
  description: description.slice(0, LONGEST_DESCRIPTION),
  inputSchema,
});

function calling(api: FastifyInstance, services: ToolDoorServices, callTool: CallTool): void {
  api.post(TOOL_CALL_PATH, { config: { engines: 'too' } }, (http, reply) =>
    held(http, reply, services, async (signal) => {
      const { id, headers, record } = http;
      const asked = parse(http.body);
      const caller = record.caller as Caller;
      const told = await callTool({ id, caller, headers, signal, record, asked });
      if ('pending' in told) {
        void reply.code(202);
        return told;
      }
      if (told.replayed) {
        record.replayed = true;
        void reply.header(REPLAYED_HEADER, 'true');
      }
      return told.result;
    }),
  );
}

function parse(body: unknown): ToolCall {
  const parsed = toolCall.safeParse(body);
  if (parsed.success) return parsed.data;
  throw invalidRequest(
    'The body must be {"name": …, "arguments": JSON text, "tainted": true or false if it is no step}.',
  );
}
