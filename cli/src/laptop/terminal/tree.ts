// The tree of steps as lines.
import { styleText } from 'node:util';
import type { StepPhase } from '@kadre/crds';
import { duration, money, time } from './format.ts';
import { isOver, type RunView, type StepView, type Wait } from './view.ts';

export interface TreeOptions {
  now: number;
  /** How many lines there is room for. */
  rows: number;
  colour: boolean;
  /** All that was done, not only what is at work or went wrong. */
  everything?: boolean;
}

type Style = Parameters<typeof styleText>[0];

const signs: Record<StepPhase, [sign: string, style: Style]> = {
  Pending: ['·', 'gray'],
  Running: ['●', 'cyan'],
  Waiting: ['◷', 'yellow'],
  Succeeded: ['✓', 'green'],
  Failed: ['✗', 'red'],
  Skipped: ['-', 'gray'],
  Cancelled: ['⊘', 'gray'],
};
const SPINNER = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';
const SPIN_MS = 100;
const LEAST_ROWS = 4;

export function treeLines(view: RunView, title: string, options: TreeOptions): string[] {
  const paint = painter(options.colour);
  const head = headLine(view, title, options, paint);
  const room = Math.max(LEAST_ROWS, options.rows - 2);
  const lines = view.steps.flatMap((step) => linesOf(step, 1, options, paint));
  if (options.everything === true || lines.length <= room) return [head, ...lines.map(({ text }) => text)];
  // What is over gives way to what is at work and to what went wrong.
  const rank = ({ step }: Line): number =>
    step.phase === 'Failed' ? 0 : isLive(step) ? 1 : step.phase === 'Pending' ? 3 : 2;
  const kept = new Set([...lines].sort((one, other) => rank(one) - rank(other)).slice(0, room - 1));
  const hidden = paint('gray', `  … and ${lines.length - kept.size} more`);
  return [head, ...lines.filter((line) => kept.has(line)).map(({ text }) => text), hidden];
}

interface Line {
  step: StepView;
  text: string;
}

type Paint = (style: Style, text: string) => string;

function linesOf(step: StepView, depth: number, options: TreeOptions, paint: Paint): Line[] {
  const own = { step, text: `${'  '.repeat(depth)}${stepLine(step, options, paint)}` };
  const shown = step.children.filter((child) => options.everything === true || isWorthALine(step, child));
  return [own, ...shown.flatMap((child) => linesOf(child, depth + 1, options, paint))];
}

function isWorthALine(around: StepView, step: StepView): boolean {
  if (isLive(step)) return true;
  if (hasTrouble(step)) return true;
  // Of a group at work all steps are shown, of a list or a loop only what is at work.
  return isLive(around) && !/[\]\d]$/.test(step.id.slice(around.id.length));
}

function isLive({ phase }: StepView): boolean {
  return phase === 'Running' || phase === 'Waiting';
}

function hasTrouble(step: StepView): boolean {
  return step.phase === 'Failed' || step.children.some(hasTrouble);
}

function headLine(view: RunView, title: string, { now }: TreeOptions, paint: Paint): string {
  const took = view.startedAt === undefined ? '' : duration((view.finishedAt ?? now) - view.startedAt);
  const style: Style = view.phase === 'Succeeded' ? 'green' : isOver(view) ? 'red' : 'bold';
  return [paint('bold', title), paint(style, view.phase), took, money(view.cost)]
    .filter((part) => part !== '')
    .join('  ');
}

function stepLine(step: StepView, { now, colour }: TreeOptions, paint: Paint): string {
  const [sign, style] = signs[step.phase];
  const turning =
    step.phase === 'Running' && colour ? (SPINNER[Math.floor(now / SPIN_MS) % SPINNER.length] ?? sign) : sign;
  const { startedAt, finishedAt, elements } = step;
  const took = startedAt === undefined ? '' : duration((finishedAt ?? now) - startedAt);
  const parts = [
    `${paint(style, turning)} ${step.label}`,
    elements ? `${elements.over}/${elements.all}` : '',
    step.attempt > 1 ? `attempt ${step.attempt}` : '',
    step.phase === 'Skipped' ? 'skipped' : paint('gray', took),
    paint('gray', money(step.cost)),
    step.source === undefined ? '' : paint('gray', step.source),
    step.waitsFor ? paint('yellow', waitText(step.waitsFor, now)) : '',
    step.failure && step.phase !== 'Succeeded' ? paint('red', `${step.failure.reason}: ${step.failure.message}`) : '',
  ];
  return parts.filter((part) => part !== '').join('  ');
}

export function waitText(wait: Wait, now: number): string {
  switch (wait.kind) {
    case 'approval':
      return wait.until === undefined ? 'waits for a decision' : `waits for a decision until ${time(wait.until, now)}`;
    case 'event':
      return `waits for the event ${wait.name}`;
    case 'time':
      return `waits until ${time(wait.until, now)}`;
    case 'retry':
      return `tries again in ${duration(wait.until - now)}`;
  }
}

function painter(colour: boolean): Paint {
  return (style, text) => (colour && text !== '' ? styleText(style, text, { validateStream: false }) : text);
}
