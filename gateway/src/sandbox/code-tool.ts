// Tools that run code: the program of a call, in a sandbox as the Tool wants it.
import type { SandboxSpec, ToolSpec } from '@kadre/crds';
import { SandboxFailure, type SandboxFault, type SandboxHost } from '@kadre/sandbox';
import { ToolError, toolTimeoutMs, type RunProgram, type ToolFault } from '@kadre/tools';
import { DEFAULT_SANDBOX, jobOf, runProgram, stopOf } from './programs.ts';

export function runInTool(host: SandboxHost): RunProgram {
  return async (program, { tool, signal }, { caller, idempotencyKey, progress }) => {
    const { metadata, spec } = tool;
    const sandbox = sandboxOf(spec);
    const asked = jobOf(program, sandbox, toolTimeoutMs(spec));
    if ('problem' in asked) throw new ToolError('malformed', asked.problem);
    const { namespace = '' } = metadata;
    try {
      const { end, ...printed } = await runProgram(
        host,
        sandbox,
        asked.job,
        {
          caller: caller ?? { namespace },
          tool: metadata.name,
          idempotencyKey,
          signal,
        },
        progress,
      );
      const { reason, exitCode, output, outputProblem, files, leftOut } = end;
      const stop = stopOf(reason, asked.job);
      return {
        ...printed,
        files,
        leftOut,
        ...(stop ? { stopped: stop.message } : exitCode !== undefined && { exitCode }),
        ...(output !== undefined && { output }),
        ...(outputProblem !== undefined && { outputProblem }),
      };
    } catch (error) {
      if (!(error instanceof SandboxFailure)) throw error;
      throw new ToolError(faults[error.fault], error.message, {
        retry: error.fault !== 'Refused',
        sent: error.mayHaveRun,
        cause: error,
      });
    }
  };
}

const faults: Record<SandboxFault, ToolFault> = {
  Unavailable: 'unreachable',
  Unreachable: 'unreachable',
  Taken: 'unreachable',
  Refused: 'misconfigured',
  Died: 'status',
};

function sandboxOf({ builtin }: ToolSpec): SandboxSpec {
  const { image, runtimeClassName, memory, cpu } = builtin?.code ?? DEFAULT_SANDBOX;
  return {
    memory,
    cpu,
    ...(image !== undefined && { image }),
    ...(runtimeClassName !== undefined && { runtimeClassName }),
  };
}
