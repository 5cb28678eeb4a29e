// An agent that goes on with conversations: it is told what was said before, and keeps what is said now.
import { AgentFailure } from '../failure.ts';
import type { Agent, Answer, Piece, Turn } from './agent.ts';
import type { ChatMessage } from './chat.ts';
import { parseJson } from './gateway-client.ts';
import { messageOf } from './loop.ts';
import type { Memory, Recalled } from './memory.ts';

const NO_TEXT = '[Something was here that is no text; it is not kept.]';
const KEPT_ROLES = new Set(['user', 'assistant', 'tool']);
/** Half of the context may be conversation; no message takes more than a quarter of that. */
const LARGEST_SHARE = 1 / 8;

/** Only answers that have a {@link Turn.place} are remembered; those of steps never are. */
export function remembering(agent: Agent, memory: Memory): Agent {
  const room = Math.floor(agent.config.limits.contextCharacters * LARGEST_SHARE);

  const open = async (turn: Turn): Promise<Talk | undefined> => {
    const { place, signal, traceparent } = turn;
    if (place === undefined || turn.stepToken !== undefined) return undefined;
    const recalled = await memory.recall({ signal, traceparent }, place);
    const said = turn.messages.flatMap((message) => keptForm(message, room));
    const asBefore = recalled.before && answerAgain(recalled.before, said, agent);
    const messages = after(recalled.messages, turn.messages);
    // What an agent said after it had read words of strangers may be theirs.
    const tainted = turn.tainted === true || recalled.tainted;
    return { said, recalled, asBefore, turn: { ...turn, messages, tainted } };
  };
  const keep = async ({ said, recalled, turn }: Talk, answer: Answer): Promise<void> => {
    if (turn.place?.transient) return;
    await recalled.remember([...said, ...keptForm(answerMessage(answer), room)], answer.tainted === true);
  };

  return {
    ...agent,
    answer: async (turn) => {
      const talk = await open(turn);
      if (talk?.asBefore) return talk.asBefore;
      const answer = await agent.answer(talk?.turn ?? turn);
      if (talk) await keep(talk, answer);
      return answer;
    },
    async *pieces(turn, options) {
      const talk = await open(turn);
      if (talk?.asBefore) return yield* piecesOf(talk.asBefore);
      for await (const piece of agent.pieces(talk?.turn ?? turn, options)) {
        // Before anybody is told that the answer is there: who goes on at once must find it.
        if (talk && 'answer' in piece) await keep(talk, piece.answer);
        yield piece;
      }
    },
  };
}

interface Talk {
  /** What the caller said, as it is kept. */
  said: ChatMessage[];
  recalled: Recalled;
  asBefore: Answer | undefined;
  /** With all that was said before. */
  turn: Turn;
}

function answerMessage({ output, completion }: Answer): ChatMessage {
  const { tool_calls: calls } = messageOf(completion);
  const content = typeof output === 'string' ? output : JSON.stringify(output);
  return { role: 'assistant', content: content || null, ...(calls?.length ? { tool_calls: calls } : {}) };
}

/** What the caller says of how to answer stands before the conversation. */
function after(before: ChatMessage[], now: ChatMessage[]): ChatMessage[] {
  const rules = now.findIndex(({ role }) => role !== 'system');
  return [...now.slice(0, Math.max(0, rules)), ...before, ...now.slice(Math.max(0, rules))];
}

/** The text of what user and agent said; nothing of other roles. */
function keptForm(message: ChatMessage, room: number): ChatMessage[] {
  if (!KEPT_ROLES.has(message.role)) return [];
  const { content } = message;
  if (typeof content === 'string') return [{ ...message, content: shortened(content, room) }];
  if (!Array.isArray(content)) return [message];
  const texts = (content as { text?: unknown }[]).map((part) => (typeof part.text === 'string' ? part.text : NO_TEXT));
  return [{ ...message, content: shortened(texts.join('\n'), room) }];
}

function shortened(text: string, room: number): string {
  if (text.length <= room) return text;
  return `${text.slice(0, room)}\n[Cut: these are the first ${room} of ${text.length} characters.]`;
}

/** @throws {AgentFailure} if something else was said under the same id. */
function answerAgain(before: ChatMessage[], said: ChatMessage[], { config }: Agent): Answer {
  const answered = before.at(-1);
  const asked = before.slice(0, -1);
  if (answered === undefined || JSON.stringify(asked) !== JSON.stringify(said.slice(-asked.length)))
    throw new AgentFailure('InvalidInput', 'That id belongs to an earlier message with another content; use a new id.');
  const content = typeof answered['content'] === 'string' ? answered['content'] : '';
  const message = answered as ReturnType<typeof messageOf>;
  return {
    output: config.output === undefined ? content : (parseJson(content) ?? content),
    completion: { id: 'remembered', choices: [{ index: 0, message, finish_reason: 'stop' }], usage: undefined },
    usage: { inputTokens: 0, outputTokens: 0 },
  };
}

function* piecesOf(answer: Answer): Generator<Piece, void> {
  const { content } = messageOf(answer.completion);
  if (content) yield { delta: content };
  yield { answer };
}
