// Ids without memory: whoever knows the name of a thing knows the id of its span. So engines that take over a run, and a
// gateway that has never heard of it, all speak of the same spans.
import { hash, randomBytes } from 'node:crypto';

/** 32 hexadecimal digits. */
export const runTraceId = (run: string): string => digest(`run ${run}`, 32);

/** 16 hexadecimal digits, as all ids of spans. */
export const runSpanId = (run: string): string => digest(`span ${run}`, 16);

/** `step`: its id in the run, such as `research[2]`. */
export const attemptSpanId = (run: string, step: string, attempt: number): string =>
  digest(`span ${run}/${step}/${attempt}`, 16);

export const randomTraceId = (): string => randomBytes(16).toString('hex');
export const randomSpanId = (): string => randomBytes(8).toString('hex');

const digest = (of: string, digits: number): string => hash('sha256', `kadre ${of}`).slice(0, digits);
