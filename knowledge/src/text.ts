// From what a source gives to text with headings in Markdown, which is all that chunks are cut from. Documents are strangers:
// nothing of what they hold may steer more than what is found.
import { Parser } from 'htmlparser2';

export interface Text {
  /** What the document says that it is called; empty if it says nothing. */
  title: string;
  text: string;
}

/** What people read and machines index; anything else is refused by whoever asks. */
export type TextKind = 'plain' | 'markdown' | 'html';

const MOST_TITLE = 200;
const PLAIN = new Set(['txt', 'text', 'rst', 'adoc', 'org', 'csv', 'json', 'yaml', 'yml', 'log']);

/** By its media type, or by its name where a server does not know better. */
export function kindOf(name: string, mediaType?: string): TextKind | undefined {
  const type = mediaType?.split(';')[0]?.trim().toLowerCase();
  if (type === 'text/html' || type === 'application/xhtml+xml') return 'html';
  if (type === 'text/markdown' || type === 'text/x-markdown') return 'markdown';
  const said = type === undefined || type === '' || type === 'text/plain' || type === 'application/octet-stream';
  if (!said) return undefined;
  const ending = /\.([a-z]+)$/i.exec(name)?.[1]?.toLowerCase();
  if (ending === 'md' || ending === 'markdown') return 'markdown';
  if (ending === 'html' || ending === 'htm') return 'html';
  return ending === undefined || PLAIN.has(ending) || type === 'text/plain' ? 'plain' : undefined;
}

export function readText(kind: TextKind, content: string): Text {
  const { title, text } = kind === 'html' ? fromHtml(content) : { title: '', text: content };
  const clean = cleaned(text);
  const heading = kind === 'plain' ? undefined : /^#{1,6} +(.+)$/m.exec(clean)?.[1];
  return { title: oneLine(title === '' ? (heading ?? '') : title), text: clean };
}

/** A title or an address of a stranger: one line, no longer than anybody reads, and nothing that a terminal would obey. */
export function oneLine(text: string, most = MOST_TITLE): string {
  const line = cleaned(text).replace(/\s+/g, ' ').trim();
  return (line.length > most ? `${line.slice(0, most - 1)}…` : line).toWellFormed();
}

// Controls, and what hides text from people that models read: directions of writing, joiners, tags, byte order marks.
const HIDDEN =
  // eslint-disable-next-line no-control-regex -- they are what is to be taken out
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

const cleaned = (text: string): string =>
  text
    .replace(/\r\n?/g, '\n')
    .replace(HIDDEN, '')
    .toWellFormed()
    .replace(/[ \t\u00a0]+$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim();

const UNSEEN = new Set(['script', 'style', 'noscript', 'template', 'svg', 'iframe', 'object', 'head', 'nav', 'select']);
const BLOCKS = new Set(
  'address article aside blockquote body dd details div dl dt fieldset figcaption figure footer form header hr html main ol p pre section summary table tbody tfoot thead tr ul'.split(
    ' ',
  ),
);

/** What a reader would see, with its headings. */
function fromHtml(html: string): Text {
  const parts: string[] = [];
  let title = '';
  let unseen = 0;
  let inTitle = false;
  let preformatted = 0;
  const parser = new Parser(
    {
      onopentag: (name, attributes) => {
        if (name === 'title') inTitle = true;
        if (UNSEEN.has(name) || isHidden(attributes)) unseen += isVoid(name) ? 0 : 1;
        else if (unseen > 0 && !isVoid(name)) unseen += 1;
        if (name === 'pre') preformatted += 1;
        const level = /^h([1-6])$/.exec(name)?.[1];
        if (level !== undefined) parts.push(`\n\n${'#'.repeat(Number(level))} `);
        else if (name === 'br') parts.push('\n');
        else if (name === 'li') parts.push('\n- ');
        else if (name === 'td' || name === 'th') parts.push(' | ');
        else if (BLOCKS.has(name)) parts.push('\n\n');
      },
      ontext: (text) => {
        if (inTitle && title.length < 1000) title += text;
        if (unseen === 0 && !inTitle) parts.push(preformatted > 0 ? text : text.replace(/\s+/g, ' '));
      },
      onclosetag: (name) => {
        if (name === 'title') inTitle = false;
        if (unseen > 0 && !isVoid(name)) unseen -= 1;
        if (name === 'pre') preformatted -= 1;
        if (BLOCKS.has(name) || /^h[1-6]$/.test(name)) parts.push('\n\n');
      },
    },
    { decodeEntities: true },
  );
  parser.end(html);
  return {
    title,
    text: parts
      .join('')
      .replace(/^ +/gm, '')
      .replace(/^(#{1,6}) *\n+/gm, ''),
  };
}

/** What nobody sees is a favourite place for words to models alone. */
const isHidden = ({ hidden, style = '', 'aria-hidden': aria }: Record<string, string>): boolean =>
  hidden !== undefined || aria === 'true' || /display\s*:\s*none|visibility\s*:\s*hidden/i.test(style);

const VOID = new Set('area base br col embed hr img input link meta source track wbr'.split(' '));
const isVoid = (name: string): boolean => VOID.has(name);
