// Which sandboxes Tools want to have ready. Those of one namespace that want the same share them.
import { labels, type SandboxSpec, type Tool } from '@kadre/crds';
import { sandboxPool, sandboxPoolKey } from '@kadre/store';
import type { Pod } from '../build/wire.ts';

/** Undefined for a Tool that runs no code. */
export function sandboxOf({ spec }: Tool): SandboxSpec | undefined {
  const code = spec.builtin?.code;
  if (!code) return undefined;
  const { image, runtimeClassName, memory, cpu } = code;
  return {
    memory,
    cpu,
    ...(image !== undefined && { image }),
    ...(runtimeClassName !== undefined && { runtimeClassName }),
  };
}

export function poolKeyOf(tool: Tool): string | undefined {
  const spec = sandboxOf(tool);
  return spec && sandboxPoolKey(tool.metadata.namespace ?? '', sandboxPool(spec));
}

/** Of a pod, or of the wall around it. */
export function poolKeyOfPod({ metadata }: Readonly<Pick<Pod, 'metadata'>>): string | undefined {
  const pool = metadata.labels?.[labels.sandboxPool];
  return pool === undefined ? undefined : sandboxPoolKey(metadata.namespace ?? '', pool);
}

/** How many the Tools of a pool want to have ready. */
export const warmOf = (tools: readonly Tool[]): number =>
  tools.reduce((sum, { spec }) => sum + (spec.builtin?.code?.warm ?? 0), 0);
