// A span that is over, as plain data. Nobody holds an open one: it is written down when the thing ends.
type AttributeValue = string | number | boolean | string[] | undefined;
export type Attributes = Record<string, AttributeValue>;

export interface Span {
  name: string;
  /** client: somebody else does the work. */
  kind: 'internal' | 'client';
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  endedAt: number;
  /** Those that are undefined are left out. */
  attributes: Attributes;
  events?: { name: string; at: number; attributes?: Attributes }[];
  /** The typed reason. Messages are no part of a span: they may quote what a model or a user said. */
  error?: string | undefined;
}

/** Where spans go. Never throws and never waits. */
export interface Spans {
  /** Decides by the id alone, so that all who take part in a trace decide alike. */
  sampled(traceId: string): boolean;
  /** Takes the span, or drops it if there are too many. Only for sampled traces. */
  add(span: Span): void;
}
