// What the control plane and an agent's pod say to each other. Both sides import this file, so neither can drift.
import { z } from 'zod';
import { failureReasons } from './reasons.ts';
import { codeLanguage, sandboxSpec } from './sandbox.ts';

/** Environment of every pod that runs the agent-runtime image; the operator sets it, the runtime reads it. */
export const runtimeEnv = {
  /** JSON of {@link agentConfig}. */
  agent: 'KADRE_AGENT',
  /** Base URL of the gateway, such as http://kadre-gateway.kadre-system.svc */
  gatewayUrl: 'KADRE_GATEWAY_URL',
  /** File with the projected ServiceAccount token (audience {@link GATEWAY_AUDIENCE}); the kubelet rotates it. */
  tokenFile: 'KADRE_TOKEN_FILE',
  /** The pod's own IP, so that a task can be found again on the replica that holds it. */
  podIp: 'KADRE_POD_IP',
  /** The path prefix under which an Ingress exposes the agent; it is taken off before routing. */
  basePath: 'KADRE_BASE_PATH',
  /** The address under which callers reach the agent; goes into its A2A card. */
  publicUrl: 'KADRE_PUBLIC_URL',
  logLevel: 'KADRE_LOG_LEVEL',
  /** Only in a step's Job: the token that is good for this step alone. */
  stepToken: 'KADRE_STEP_TOKEN',
} as const;

export const GATEWAY_AUDIENCE = 'kadre-gateway';
/** Audience of tokens for the server's MCP. */
export const MCP_AUDIENCE = 'kadre-mcp';
export const TOKEN_MOUNT = '/var/run/secrets/kadre';
export const AGENT_PORT = 8080;

/** Header with the step token, beside `Authorization: Bearer <projected token>`. */
export const STEP_HEADER = 'kadre-step';

/**
 * Header of a model call on behalf of a step: its number among the calls of the attempt, from 1. A call that is made again
 * under its number is answered from the journal.
 */
export const CALL_HEADER = 'kadre-call';
/** Header of a call of a tool outside of steps: how many agents in a row have asked each other, as the message to this one said. */
export const DEPTH_HEADER = 'kadre-depth';
/** Header of an answer that came from the journal. */
export const REPLAYED_HEADER = 'kadre-replayed';

/**
 * The header `traceparent` of W3C's trace context. What an agent is asked with it, it passes on with each model call; an
 * agent that makes spans of its own passes on theirs, under the same trace id.
 */
export const TRACE_HEADER = 'traceparent';
export const traceparent = z.string().regex(/^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);

/** Keys in the metadata of A2A messages and tasks. */
export const a2aMetadata = {
  stepToken: 'kadre.dev/step-token',
  /** On a task: base URL of the replica that holds it, such as http://10.1.2.3:8080 */
  instance: 'kadre.dev/instance',
  /** On a message outside of runs: how many agents in a row have asked each other, a number; back as {@link DEPTH_HEADER}. */
  depth: 'kadre.dev/depth',
  /** On a message outside of runs: whoever asks has read words of strangers, which may be among what is asked. */
  tainted: 'kadre.dev/tainted',
  /** On a status update: the agent has handed a part of its task to another one; a {@link delegation}. */
  delegation: 'kadre.dev/delegation',
  /** On a status update: the agent calls a tool, or has called it; a {@link toolActivity}. */
  tool: 'kadre.dev/tool',
  /** On a status update: the conversation grew too long for the model; a {@link compaction}. */
  compaction: 'kadre.dev/compaction',
  /** On an artifact: what the answer rests on, a list of {@link citation}. */
  citations: 'kadre.dev/citations',
  /** On a task that is completed, and on the status update that says so: the tokens of all its calls. */
  usage: 'kadre.dev/usage',
  /**
   * On the status message of a task that waits for people: names of the Approvals that the gateway has asked for. Whoever
   * gave the task has nothing to do but wait.
   */
  approvals: 'kadre.dev/approvals',
  /** On a failed task's status message: a {@link FailureReason}. */
  reason: 'kadre.dev/reason',
} as const;

/** What an agent says of a part of its task that another agent does: when that begins, and when it ends. */
export const delegation = z.object({
  id: z
    .string()
    .regex(/^[a-zA-Z0-9][-_a-zA-Z0-9]{0,62}$/)
    .describe('Names the part among those of the task.'),
  agent: z.string().min(1).max(253).describe('Who does it.'),
  phase: z.enum(['Running', 'Succeeded', 'Failed']),
  message: z.string().max(1024).optional().describe('Why it failed.'),
});
export type Delegation = z.infer<typeof delegation>;

/** What an agent says of a call of one of its tools: when it begins, and when it ends. */
export const toolActivity = z.object({
  call: z.int().min(1).describe('Its number among the calls of models and tools that the task makes.'),
  tool: z.string().max(128),
  phase: z.enum(['Running', 'Succeeded', 'Failed']),
  arguments: z.string().max(1024).optional().describe('The beginning of the JSON that the model wrote.'),
  output: z.string().max(65_536).optional().describe('While it runs: what it has printed since it was last told.'),
  reason: z.enum(failureReasons).optional().describe('Why it failed.'),
});
export type ToolActivity = z.infer<typeof toolActivity>;

/** What left the conversation before the next call of the model, to make room. */
export const compaction = z.object({
  results: z.int().min(1).describe('So many results of tools, the oldest ones.'),
  characters: z.int().describe('Their length together.'),
});
export type Compaction = z.infer<typeof compaction>;

/** Path of the A2A JSON-RPC endpoint on an agent. */
export const A2A_PATH = '/a2a';
export const AGENT_CARD_PATH = '/.well-known/agent-card.json';

/** Gateway routes for a step that runs in a Job. */
export const STEP_PATH = '/v1/step';
export const STEP_RESULT_PATH = '/v1/step/result';

/**
 * Gateway route: the tools of the agent that asks, a {@link toolList}. With {@link STEP_HEADER} it is the one that the attempt
 * was given first, so that a step that is begun anew offers its model the same.
 */
export const TOOLS_PATH = '/v1/tools';
/**
 * Gateway route: one {@link toolCall}, answered with a {@link toolResult}; or with status 202 and a {@link toolPending}, if
 * people have not decided yet. The same call under the same number is asked again then, at once.
 */
export const TOOL_CALL_PATH = '/v1/tools/call';
/**
 * Who accepts this of {@link TOOL_CALL_PATH} may be told what the tool prints: lines with a {@link toolProgress}, and what the
 * answer would be else in the last one.
 */
export const PROGRESS_TYPE = 'application/x-ndjson';
export const toolProgress = z.object({ progress: z.string() });
export type ToolProgress = z.infer<typeof toolProgress>;
/**
 * Gateway route: nobody wants the answer of this {@link toolCall} any more, which other agents are at work on. Of a step alone:
 * outside of steps whoever hangs up says as much, but a step may only have lost its pod, and be begun anew.
 */
export const TOOL_CANCEL_PATH = '/v1/tools/cancel';

/** The end of a longer conversation is what is handed over. */
export const HAND_OFF_CHARACTERS = 65_536;

export const toolList = z.object({
  tools: z.array(
    z.object({
      name: z.string().describe('As the model calls it: letters, digits, _ and -, at most 64.'),
      description: z.string(),
      inputSchema: z.record(z.string(), z.unknown()).describe('A JSON Schema of an object.'),
      delegation: z
        .object({
          agent: z.string(),
          handOff: z.boolean().describe('It is sent the conversation, and its answer is that of the task.'),
        })
        .optional()
        .describe('Another agent is asked.'),
    }),
  ),
});
export type ToolList = z.infer<typeof toolList>;

/**
 * A call on behalf of a step has the headers {@link STEP_HEADER} and {@link CALL_HEADER}; calls of tools and of models share
 * their numbers.
 */
export const toolCall = z.object({
  name: z.string().max(128).describe('The function, as an agent was offered it. Of an engine: the Tool.'),
  operation: z
    .string()
    .max(253)
    .optional()
    .describe('Of an engine alone: which operation of the Tool, if it has several.'),
  arguments: z.string().describe('JSON text, as the model wrote it.'),
  tainted: z
    .boolean()
    .optional()
    .describe('Outside of steps: whether the task has met untrusted words. In a step the gateway knows.'),
  conversation: z
    .string()
    .max(HAND_OFF_CHARACTERS)
    .optional()
    .describe(
      'Of a hand-off: what was said so far. It follows from the calls before, so that the journal need not know it.',
    ),
});
export type ToolCall = z.infer<typeof toolCall>;

/** A passage of a Knowledge. */
export const citation = z.object({
  id: z.string().min(1).max(64).describe('What stands in brackets where it is referred to, such as 1 for [1].'),
  source: z.string().max(192).describe('The Knowledge and its source, such as handbook/pages.'),
  title: z.string().max(256).optional(),
  url: z.string().max(2048).optional().describe('Where the document is; configmap:… for one of a ConfigMap.'),
  passage: z.string().max(512).optional().describe('Its beginning.'),
});
export type Citation = z.infer<typeof citation>;

/** What came of it. A call that is refused or fails is told to the model, which may do something else: HTTP status 200. */
export const toolResult = z.object({
  content: z.array(
    z.union([
      z.object({ type: z.literal('text'), text: z.string() }),
      z.object({ type: z.literal('image'), data: z.string().describe('Base64.'), mediaType: z.string() }),
    ]),
  ),
  isError: z.boolean(),
  reason: z.enum(failureReasons).optional().describe('Why it is an error.'),
  citations: z
    .array(citation)
    .max(64)
    .optional()
    .describe('The last parts of content are these passages, in this order; each begins with its id in brackets.'),
  cited: z
    .array(citation)
    .max(256)
    .optional()
    .describe('Of an answer of another agent: what it rests on. Its ids stand in brackets anywhere in the answer.'),
  trust: z.enum(['trusted', 'untrusted']),
  structured: z
    .unknown()
    .optional()
    .describe('For an engine, and of a hand-off: the answer as data, if it was given so.'),
});
export type ToolResult = z.infer<typeof toolResult>;

/** Of a step alone: the call waits for people. */
export const toolPending = z.object({
  pending: z.object({
    approval: z.string().max(253).describe('Name of the Approval.'),
    until: z.string().max(64).optional().describe('Until when people can decide, RFC 3339.'),
  }),
});
export type ToolPending = z.infer<typeof toolPending>;

/**
 * Gateway route: what an agent remembers of conversations outside of steps, if its `spec.memory` is set. GET with
 * `?conversation=` or, for the one that a turn belongs to, `?turn=`: a {@link conversation}, 404 if there is no such turn.
 * POST a {@link conversationTurn}: a {@link conversationVerdict}. DELETE with `?conversation=` forgets it.
 */
export const CONVERSATIONS_PATH = '/v1/conversations';

const turnMessages = z.array(z.looseObject({ role: z.string() })).min(1);

export const conversation = z.object({
  conversation: z.string(),
  turns: z.array(
    z.object({
      id: z.string(),
      seq: z.int().describe('From 1 on. What is before the first that is there was left out.'),
      at: z.number().describe('Milliseconds since 1970.'),
      messages: turnMessages,
      tainted: z.boolean(),
    }),
  ),
});
export type Conversation = z.infer<typeof conversation>;

/** What a caller said and what the agent answered, as messages of the chat wire. */
export const conversationTurn = z.object({
  conversation: z.string().min(1).max(512),
  id: z.string().min(1).max(512).describe('Idempotency key within the conversation.'),
  messages: turnMessages,
  tainted: z.boolean().default(false).describe('Whether the agent had met untrusted words when it answered.'),
  after: z.int().min(0).optional().describe('The turn that it must follow, 0 for none. Absent: whichever is the last.'),
});
export type ConversationTurn = z.infer<typeof conversationTurn>;

/** `known`: it was there before, and is kept as it was. `stale`: another turn came first. */
export const conversationVerdict = z.object({ verdict: z.enum(['new', 'known', 'stale']) });

/** Gateway route for an engine alone: runs the {@link codeCall} of a step, answered with a {@link codeResult}. */
export const CODE_PATH = '/v1/code';

const codeFile = z.union([
  z.object({ path: z.string(), text: z.string() }),
  z.object({ path: z.string(), base64: z.string() }),
]);
export type CodeFile = z.infer<typeof codeFile>;

export const codeCall = z.object({
  language: codeLanguage,
  source: z.string(),
  input: z.unknown().optional(),
  files: z.array(codeFile).optional(),
  sandbox: sandboxSpec.optional(),
  timeoutMs: z.int().min(1),
});
export type CodeCall = z.infer<typeof codeCall>;

/** How a program ended: by itself, or because it was stopped, could not be begun, or is lost. HTTP status 200. */
export const codeResult = z.union([
  z.object({ failure: z.object({ reason: z.enum(failureReasons), message: z.string() }) }),
  z.object({
    exitCode: z.int(),
    output: z.unknown().optional().describe('What it wrote as JSON to the file that KADRE_OUTPUT names.'),
    stdout: z.string(),
    stderr: z.string(),
    files: z.array(codeFile).describe('What it left in its folder.'),
  }),
]);
export type CodeResult = z.infer<typeof codeResult>;

/** About 100,000 tokens, which all current models take. */
export const DEFAULT_CONTEXT_CHARACTERS = 400_000;

/** What the agent-runtime must know of an Agent. */
export const agentConfig = z.object({
  name: z.string(),
  namespace: z.string(),
  description: z.string().optional(),
  instructions: z.string(),
  model: z.string(),
  output: z.object({ schema: z.record(z.string(), z.unknown()) }).optional(),
  /** Whether the gateway has tools for it. */
  tools: z.boolean().default(false),
  /** Whether the gateway keeps its conversations. */
  memory: z.boolean().optional(),
  limits: z
    .object({
      turns: z.int(),
      durationMs: z.int(),
      contextCharacters: z.int().default(DEFAULT_CONTEXT_CHARACTERS),
    })
    .default({ turns: 16, durationMs: 600_000, contextCharacters: DEFAULT_CONTEXT_CHARACTERS })
    .describe('Of one answer.'),
  endpoints: z
    .array(
      z.object({
        path: z.string(),
        input: z.object({ schema: z.record(z.string(), z.unknown()) }).optional(),
        prompt: z.string(),
      }),
    )
    .default([]),
});
export type AgentConfig = z.infer<typeof agentConfig>;

/** GET STEP_PATH: what the step is asked to do. All expressions have been evaluated. */
export const stepPayload = z.object({
  run: z.string().describe('UID of the Run.'),
  step: z.string().describe('Id of the step, such as research[2].'),
  attempt: z.int(),
  prompt: z.string().optional(),
  input: z.unknown().optional(),
  traceparent: traceparent.optional().catch(undefined).describe('Of the step, if traces are kept.'),
});
export type StepPayload = z.infer<typeof stepPayload>;

/** POST STEP_RESULT_PATH: how the step ended. The first report counts; later ones are answered 200 and dropped. */
export const stepOutcome = z.union([
  z.object({
    output: z.unknown(),
    citations: z.array(citation).max(256).optional().describe('What the output rests on.'),
  }),
  z.object({ failure: z.object({ reason: z.enum(failureReasons), message: z.string().max(8192) }) }),
]);
export type StepOutcome = z.infer<typeof stepOutcome>;
