// What another agent is sent that takes a task over.
import { HAND_OFF_CHARACTERS } from '@kadre/crds';
import type { ChatMessage } from './chat.ts';

const WHO: Record<string, string> = { user: 'User', assistant: 'Assistant' };
const CUT = '[What was said before is left out.]\n';

/** What user and agent have said, the latest of it. Results of tools stay out: strangers may have written them. */
export function conversationOf(messages: readonly ChatMessage[], agent: string): string {
  const head = `Agent ${agent} hands this conversation over to you. Your answer goes to the user.\n\n`;
  const said = messages.flatMap((message) => {
    const [who, text] = [WHO[message.role], textOf(message['content'])];
    return who === undefined || text === '' ? [] : [`${who}: ${text}`];
  });
  return head + lastOf(said.join('\n\n'), HAND_OFF_CHARACTERS - head.length);
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  const texts = (content as { text?: unknown }[]).map(({ text }) => (typeof text === 'string' ? text : ''));
  return texts.filter((text) => text !== '').join('\n');
}

function lastOf(text: string, room: number): string {
  return text.length <= room ? text : CUT + text.slice(CUT.length - room).toWellFormed();
}
