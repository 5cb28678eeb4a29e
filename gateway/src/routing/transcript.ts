// A conversation as one text, for Models that are to judge it rather than to go on with it.
import { textOfAnswer, type Answer } from '../conversation/answer.ts';
import type { ModelRequest, Part } from '../conversation/request.ts';

const NAMES = { system: 'Instructions', user: 'User', assistant: 'Assistant', tool: 'Tool' } as const;
/** Of a longer conversation, the end counts. */
const MAX_CHARACTERS = 100_000;

export function transcriptOf({ messages, tools = [] }: ModelRequest): string {
  const said = messages.map(({ role, parts }) => `${NAMES[role]}: ${parts.map(shown).join('')}`).join('\n\n');
  const cut = said.length > MAX_CHARACTERS ? `…${said.slice(-MAX_CHARACTERS)}` : said;
  return tools.length === 0 ? cut : `Tools at hand: ${tools.map(({ name }) => name).join(', ')}\n\n${cut}`;
}

function shown(part: Part): string {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return part.text;
    case 'image':
      return '[an image]';
    case 'toolCall':
      return `[calls ${part.name} with ${part.arguments || '{}'}]`;
    case 'toolResult':
      return part.parts.map(shown).join('');
    case 'reasoning':
      return '';
    case 'native':
      return `[${part.value.type ?? 'something'}]`;
  }
}

/** What the model said, its calls of tools included, without its thoughts. */
export const answerText = (answer: Answer): string => {
  const calls = answer.parts.flatMap((part) => (part.type === 'toolCall' ? [shown(part)] : []));
  const refusals = answer.parts.flatMap((part) => (part.type === 'refusal' ? [part.text] : []));
  return [textOfAnswer(answer) ?? '', ...refusals, ...calls].filter((text) => text !== '').join('\n');
};

export const callsTools = ({ parts }: Answer): boolean => parts.some(({ type }) => type === 'toolCall');
