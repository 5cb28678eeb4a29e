// What attributes are called. The conventions for generative AI still change: here is the one place that knows them.
//
// Only the types of OpenTelemetry's package are used: they hold the names to it, and none of its thousands is loaded.
/* eslint-disable @typescript-eslint/no-deprecated -- they have moved to a repository that publishes no package yet */
import type * as semconv from '@opentelemetry/semantic-conventions/incubating';

export const attribute = {
  operation: 'gen_ai.operation.name' satisfies typeof semconv.ATTR_GEN_AI_OPERATION_NAME,
  provider: 'gen_ai.provider.name' satisfies typeof semconv.ATTR_GEN_AI_PROVIDER_NAME,
  agent: 'gen_ai.agent.name' satisfies typeof semconv.ATTR_GEN_AI_AGENT_NAME,
  tool: 'gen_ai.tool.name' satisfies typeof semconv.ATTR_GEN_AI_TOOL_NAME,
  workflow: 'gen_ai.workflow.name' satisfies typeof semconv.ATTR_GEN_AI_WORKFLOW_NAME,
  requestModel: 'gen_ai.request.model' satisfies typeof semconv.ATTR_GEN_AI_REQUEST_MODEL,
  requestStream: 'gen_ai.request.stream' satisfies typeof semconv.ATTR_GEN_AI_REQUEST_STREAM,
  maxTokens: 'gen_ai.request.max_tokens' satisfies typeof semconv.ATTR_GEN_AI_REQUEST_MAX_TOKENS,
  outputType: 'gen_ai.output.type' satisfies typeof semconv.ATTR_GEN_AI_OUTPUT_TYPE,
  responseModel: 'gen_ai.response.model' satisfies typeof semconv.ATTR_GEN_AI_RESPONSE_MODEL,
  finishReasons: 'gen_ai.response.finish_reasons' satisfies typeof semconv.ATTR_GEN_AI_RESPONSE_FINISH_REASONS,
  firstChunk: 'gen_ai.response.time_to_first_chunk' satisfies typeof semconv.ATTR_GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
  inputTokens: 'gen_ai.usage.input_tokens' satisfies typeof semconv.ATTR_GEN_AI_USAGE_INPUT_TOKENS,
  outputTokens: 'gen_ai.usage.output_tokens' satisfies typeof semconv.ATTR_GEN_AI_USAGE_OUTPUT_TOKENS,
  cachedTokens:
    'gen_ai.usage.cache_read.input_tokens' satisfies typeof semconv.ATTR_GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS,
  cacheWriteTokens:
    'gen_ai.usage.cache_creation.input_tokens' satisfies typeof semconv.ATTR_GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS,
  reasoningTokens:
    'gen_ai.usage.reasoning.output_tokens' satisfies typeof semconv.ATTR_GEN_AI_USAGE_REASONING_OUTPUT_TOKENS,
  errorType: 'error.type' satisfies typeof semconv.ATTR_ERROR_TYPE,
  httpStatus: 'http.response.status_code' satisfies typeof semconv.ATTR_HTTP_RESPONSE_STATUS_CODE,
  /** UID of the Run. */
  run: 'kadre.run',
  runName: 'kadre.run.name',
  namespace: 'kadre.namespace',
  callingAgent: 'kadre.agent',
  step: 'kadre.step',
  stepKind: 'kadre.step.kind',
  /** Of the step. */
  attempt: 'kadre.attempt',
  phase: 'kadre.phase',
  requestId: 'kadre.request_id',
  door: 'kadre.door',
  toolOperation: 'kadre.tool.operation',
  toolOutcome: 'kadre.tool.outcome',
  replayed: 'kadre.replayed',
  candidates: 'kadre.candidates',
  costUsd: 'kadre.cost_usd',
  model: 'kadre.model',
  /** Of an attempt among those of its call. */
  number: 'kadre.attempt.number',
  /** What one attempt alone used: sums over spans must count nothing twice. */
  attemptCostUsd: 'kadre.attempt.cost_usd',
  attemptInputTokens: 'kadre.attempt.input_tokens',
  attemptOutputTokens: 'kadre.attempt.output_tokens',
  /** What all calls of a run used. */
  runCostUsd: 'kadre.run.cost_usd',
  runInputTokens: 'kadre.run.input_tokens',
  runOutputTokens: 'kadre.run.output_tokens',
} as const;

/** In names of spans too: `chat gpt`, `invoke_agent writer`. */
export const operation = {
  chat: 'chat' satisfies typeof semconv.GEN_AI_OPERATION_NAME_VALUE_CHAT,
  embeddings: 'embeddings' satisfies typeof semconv.GEN_AI_OPERATION_NAME_VALUE_EMBEDDINGS,
  executeTool: 'execute_tool' satisfies typeof semconv.GEN_AI_OPERATION_NAME_VALUE_EXECUTE_TOOL,
  invokeAgent: 'invoke_agent' satisfies typeof semconv.GEN_AI_OPERATION_NAME_VALUE_INVOKE_AGENT,
  invokeWorkflow: 'invoke_workflow' satisfies typeof semconv.GEN_AI_OPERATION_NAME_VALUE_INVOKE_WORKFLOW,
} as const;
