// What a caller asks of a model, whatever dialect it was written in. Doors translate into it, providers out of it.
import type { Opaque } from './opaque.ts';

export interface ModelRequest {
  /** Name of the Model, as the caller gave it. */
  model: string;
  messages: Message[];
  tools?: ToolDefinition[];
  /** Absent: auto. Of meaning only with tools. */
  toolChoice?: ToolChoice;
  /** Whether one answer may hold several tool calls. Absent: as the provider likes, which is yes. */
  parallelToolCalls?: boolean;
  /** Absent: text. */
  output?: OutputFormat;
  sampling: Sampling;
  reasoning?: ReasoningSettings;
  native?: NativeFields;
}

/** Instructions (system, developer) may stand anywhere; tool results come in messages of role `tool`. */
export type Role = 'system' | 'user' | 'assistant' | 'tool';

/** Messages of the same role may follow each other; providers join them where their protocol wants turns. */
export interface Message {
  role: Role;
  parts: Part[];
  /** Of the participant, where the dialect has names. */
  name?: string;
}

export type Part = TextPart | ImagePart | ToolCallPart | ToolResultPart | ReasoningPart | RefusalPart | NativePart;

export interface TextPart {
  type: 'text';
  text: string;
  cache?: CacheHint;
  /** What the provider wants back with this very part: the signature of a thought. */
  opaque?: Opaque;
}

export interface ImagePart {
  type: 'image';
  /** `data` is base64. */
  source: { url: string } | { data: string; mediaType: string };
  detail?: 'low' | 'high' | 'auto';
  cache?: CacheHint;
}

export interface ToolCallPart {
  type: 'toolCall';
  id: string;
  name: string;
  /** JSON text, as the model wrote it; empty means no arguments. */
  arguments: string;
  cache?: CacheHint;
  opaque?: Opaque;
}

export interface ToolResultPart {
  type: 'toolResult';
  /** Of the tool call. */
  id: string;
  /** Of the tool, if the dialect says it; else it is found by the id. */
  name?: string;
  parts: (TextPart | ImagePart)[];
  isError?: boolean;
  cache?: CacheHint;
}

/** What a model thought in an earlier turn. Sent back to the family that it came from alone, and left out elsewhere. */
export interface ReasoningPart {
  type: 'reasoning';
  text?: string;
  opaque?: Opaque;
}

export interface RefusalPart {
  type: 'refusal';
  text: string;
}

/** A part that only providers of the same dialect understand, such as OpenAI's input_audio. Others refuse it. */
export interface NativePart {
  type: 'native';
  dialect: Dialect;
  /** As it was written in the dialect. */
  value: { type?: string };
}

/** Everything up to here is worth keeping in the provider's cache. Providers that cache by themselves pay no heed. */
export interface CacheHint {
  ttl: '5m' | '1h';
}

export interface ToolDefinition {
  name: string;
  description?: string;
  /** JSON Schema of the arguments; absent: no arguments. */
  parameters?: JsonSchema;
  /** Arguments must match the schema exactly, where the provider can promise that. */
  strict?: boolean;
  cache?: CacheHint;
}

export type ToolChoice = 'auto' | 'none' | 'required' | { name: string };

export type JsonSchema = Record<string, unknown>;

/** `json`: any JSON. `schema`: checked by the gateway, whatever the provider promises. */
export type OutputFormat =
  | { type: 'text' }
  | { type: 'json' }
  | { type: 'schema'; name: string; description?: string; schema: JsonSchema; strict?: boolean };

export interface Sampling {
  temperature?: number;
  topP?: number;
  topK?: number;
  seed?: number;
  frequencyPenalty?: number;
  presencePenalty?: number;
  stop?: string[];
  /** Tokens of the answer, thoughts included. */
  maxTokens?: number;
}

export const efforts = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;
export type Effort = (typeof efforts)[number];

export interface ReasoningSettings {
  effort?: Effort;
  /** Tokens to think with, where the model counts them. */
  budgetTokens?: number;
  /** Whether the caller wants to read what the model thought. Absent: no. */
  visible?: boolean;
}

export type Dialect = 'chat-completions' | 'responses' | 'messages' | 'generate-content' | 'embeddings';

/**
 * Top-level fields that the neutral request has no place for. `fields` change the answer: a provider of another dialect
 * refuses them by name. `hints` do not (user, metadata, store …): a provider of another dialect leaves them out. Doors
 * always say the dialect, for it also chooses between OpenAI's two protocols.
 */
export interface NativeFields {
  dialect: Dialect;
  fields: Record<string, unknown>;
  hints: Record<string, unknown>;
}
