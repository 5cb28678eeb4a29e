// What a client of Google's Gemini API expects to read: the pieces of a stream have the same form as a whole answer.
import type { AnswerPart, FinishReason, ModelEvent, Usage } from '../../conversation/answer.ts';
import { argumentsOf } from '../../conversation/arguments.ts';
import { packToolCallId, type Opaque } from '../../conversation/opaque.ts';
import type { GatewayError } from '../../errors.ts';
import type { AnswerEncoder, CompleteAnswer, Envelope } from '../door.ts';
import { OpenCalls } from '../open-calls.ts';
import { serverSentEvent } from '../response-writer.ts';
import { signatureOf } from './signature.ts';

export function content({ parts, finish, usage }: CompleteAnswer, envelope: Envelope): object {
  return shape(parts.flatMap(partOf), envelope, finish, usage);
}

function shape(parts: object[], { model, requestId }: Envelope, finish?: FinishReason, usage?: Usage): object {
  return {
    candidates: [
      { content: { role: 'model', parts }, ...(finish ? { finishReason: finishReasons[finish] } : {}), index: 0 },
    ],
    ...(usage ? { usageMetadata: usageShape(usage) } : {}),
    modelVersion: model,
    responseId: requestId.replace(/^req_/, ''),
  };
}

function partOf(part: AnswerPart): object[] {
  if (part.type === 'toolCall') return [callOf(part, part.arguments)];
  return said(part);
}

type Called = Pick<Extract<ModelEvent, { type: 'toolCall' }>, 'id' | 'name' | 'opaque'>;

const callOf = ({ id, name, opaque }: Called, args: string): object => ({
  functionCall: { id: packToolCallId({ id, thoughts: [] }), name, args: argumentsOf(args) },
  ...signed(opaque),
});

const signed = (opaque: Opaque | undefined): object => (opaque ? { thoughtSignature: signatureOf(opaque) } : {});

function said(part: { type: string; text?: string; opaque?: Opaque }): object[] {
  const { type, text = '', opaque } = part;
  if (text === '' && !opaque) return [];
  return [{ ...(type === 'reasoning' ? { thought: true } : {}), text, ...signed(opaque) }];
}

const finishReasons = {
  stop: 'STOP',
  toolCalls: 'STOP',
  length: 'MAX_TOKENS',
  contentFilter: 'SAFETY',
} as const satisfies Record<FinishReason, string>;

/** Google counts thoughts apart from what was said. */
const usageShape = (usage: Usage): object => ({
  promptTokenCount: usage.inputTokens,
  ...(usage.cachedInputTokens === 0 ? {} : { cachedContentTokenCount: usage.cachedInputTokens }),
  candidatesTokenCount: Math.max(0, usage.outputTokens - usage.reasoningTokens),
  ...(usage.reasoningTokens === 0 ? {} : { thoughtsTokenCount: usage.reasoningTokens }),
  totalTokenCount: usage.inputTokens + usage.outputTokens,
});

/** Calls come whole there, so each is held back until it is. */
export function contentEncoder(envelope: Envelope): AnswerEncoder {
  const calls = new OpenCalls<Called>();
  let used: Usage | undefined;
  const send = (parts: object[], finish?: FinishReason): string =>
    parts.length === 0 ? '' : serverSentEvent(JSON.stringify(shape(parts, envelope, finish, finish && used)));
  const whole = (done: ReturnType<typeof calls.rest>): object[] =>
    [...done].map(({ state, arguments: args }) => callOf(state, args));

  return {
    event: (event) => {
      switch (event.type) {
        case 'start':
          return '';
        case 'text':
        case 'refusal':
        case 'reasoning':
          return send([...whole(calls.complete()), ...said(event)]);
        case 'toolCall': {
          const before = whole(calls.complete());
          calls.begin(event.index, event);
          return send(before);
        }
        case 'toolArguments':
          calls.add(event.index, event.arguments);
          return '';
        case 'usage':
          used = event.usage;
          return '';
        case 'finish': {
          // A last piece without parts would make Google's client drop the whole turn.
          const left = whole(calls.rest());
          return send(left.length > 0 ? left : [{ text: '' }], event.reason);
        }
      }
    },
    failure: (error) => serverSentEvent(JSON.stringify(errorBody(error))),
  };
}

/** As Google writes it, with the reason of Kadre's own in the details. */
export function errorBody({ status, message, code, param }: GatewayError): object {
  const details = [
    { '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason: code, domain: 'kadre.dev' },
    ...(param === null
      ? []
      : [
          {
            '@type': 'type.googleapis.com/google.rpc.BadRequest',
            fieldViolations: [{ field: param, description: message }],
          },
        ]),
  ];
  return {
    error: {
      code: status,
      message,
      status: statuses[status] ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT'),
      details,
    },
  };
}

const statuses: Readonly<Record<number, string>> = {
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  409: 'ABORTED',
  424: 'FAILED_PRECONDITION',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};
