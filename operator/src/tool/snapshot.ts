// What is known of a Tool, and when to ask again.
import type { Tool } from '@kadre/crds';
import type { Described, ToolFault } from '@kadre/tools';
import type { PodTrouble } from '../build/pod-trouble.ts';
import type { Deployment, Pod } from '../build/wire.ts';
import type { KubeObject } from '../kube/plan.ts';

const SOON_MS = 15_000;
const LATER_MS = 300_000;

/** What came of asking a server, or of reading a document. */
export interface Look {
  at: number;
  uid: string;
  generation: number;
  /** How many looks in a row have failed, this one included. */
  failures: number;
  /** Of this look, or of an earlier one at the same spec. */
  described?: Described;
  error?: { fault: ToolFault; message: string; retry: boolean };
}

/** What there is of a server that Kadre runs. */
export interface ServerParts {
  children: KubeObject[];
  pods: Pod[];
  /** Children whose names others took, as `Kind/name`. */
  foreign: string[];
}

export const deploymentOf = ({ children }: ServerParts): Deployment | undefined =>
  children.find(({ kind }) => kind === 'Deployment');

/** All that a decision about a Tool rests on. */
export interface ToolSnapshot {
  tool: Tool;
  /** `unused`: the Tool names no Secret. Of the Secret itself nothing is kept. */
  secret: 'unused' | 'present' | 'absent' | 'keyAbsent';
  /** `path`: of the rule in the Tool. */
  ruleProblems: { path: string; message: string }[];
  server: ServerParts;
  /** Those that shall be ready for code; undefined for a Tool that wants none. */
  sandboxes?: { ready: number; trouble?: PodTrouble };
  /** Undefined: the Tool must be mended before it makes sense to look. */
  look?: Look;
}

/** Whether somebody must be asked what there is, who may change their mind, or be gone. */
export const isRemote = ({ spec }: Tool): boolean => spec.mcp !== undefined || spec.openapi?.url !== undefined;

/** When to look again: soon after something failed, ever later when it goes on failing, now and then when all is well. */
export const dueAt = ({ at, failures }: Look): number =>
  at + (failures === 0 ? LATER_MS : Math.min(SOON_MS * 2 ** (failures - 1), LATER_MS));
