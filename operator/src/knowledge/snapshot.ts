// What is known of a Knowledge, and when to look at its sources again.
import { milliseconds, type Knowledge, type Model } from '@kadre/crds';
import type { SourceProblem, SourceTags } from '@kadre/knowledge';
import type { KnowledgeState } from '@kadre/store';

const CONFIG_MAP_MS = 15_000;
const USUAL_REFRESH = '10m';
const SOON_MS = 15_000;
/** While documents are embedded. */
const PROGRESS_MS = 2_000;

export interface Problem {
  source: string;
  reason: SourceProblem;
  message: string;
  passing: boolean;
}

/** What came of reading the sources; worth nothing for another spec. */
export interface Look {
  uid: string;
  generation: number;
  space: string;
  tags: SourceTags;
  problems: Problem[];
  /** When ConfigMaps were looked at, and all else. */
  configMapsAt: number;
  otherAt: number;
  /** How many looks at all else in a row have failed, the last one included. */
  failures: number;
}

/** All that a decision about a Knowledge rests on. */
export interface KnowledgeSnapshot {
  knowledge: Knowledge;
  /** The Model that embeds, if it is there. */
  model?: Model;
  look?: Look;
  state?: KnowledgeState;
}

export const isSlow = ({ configMap }: Knowledge['spec']['sources'][number]): boolean => configMap === undefined;

export const configMapsDueAt = ({ configMapsAt }: Look): number => configMapsAt + CONFIG_MAP_MS;

/** Soon after a failure, ever later while it goes on failing, and never later than otherwise. */
export function otherDueAt({ spec }: Knowledge, { otherAt, failures }: Look): number {
  const usual = milliseconds(spec.refresh ?? USUAL_REFRESH);
  return otherAt + (failures === 0 ? usual : Math.min(usual, SOON_MS * 2 ** (failures - 1)));
}

/** Milliseconds until it is to be looked at; undefined: there is no need. */
export function lookAgainIn({ knowledge, look, state }: KnowledgeSnapshot, now: number): number | undefined {
  if (!look) return undefined;
  const { sources } = knowledge.spec;
  const due = [
    ...(sources.some((one) => !isSlow(one)) ? [configMapsDueAt(look)] : []),
    ...(sources.some(isSlow) ? [otherDueAt(knowledge, look)] : []),
    ...(state && state.indexed < state.chunks ? [now + PROGRESS_MS] : []),
  ];
  return Math.max(0, Math.min(...due) - now);
}
