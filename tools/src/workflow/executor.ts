// A Workflow as a tool: what it takes is what the Workflow takes. Whoever carries out the call makes a Run of it.
import type { Workflow } from '@kadre/crds';
import type { ToolAnswer, ToolCallRequest } from '../contract.ts';
import type { Errand, Executor } from '../executor.ts';
import { ToolError } from '../tool-error.ts';

/** From a cache: answers at once and never throws. */
export type FindWorkflow = (namespace: string, name: string) => Workflow | undefined;

export type RunWorkflow = (errand: Errand, request: ToolCallRequest) => Promise<ToolAnswer>;

const ANY_OBJECT = { type: 'object' };

/** @param run absent: it can be described here, and not called */
export function workflowExecutor(find: FindWorkflow, run?: RunWorkflow): Executor {
  return {
    describe: ({ tool }) => {
      const { namespace = '' } = tool.metadata;
      const name = tool.spec.workflow?.name ?? '';
      const spec = find(namespace, name)?.spec;
      if (!spec) {
        const message = `There is no Workflow ${name} in namespace ${namespace}: create it, or mend spec.workflow.name.`;
        return Promise.reject(new ToolError('misconfigured', message));
      }
      const inputSchema = spec.input?.schema ?? ANY_OBJECT;
      if (inputSchema['type'] !== 'object') {
        const message = `Workflow ${name} cannot be a tool: arguments are an object, and the type of its input.schema is not "object".`;
        return Promise.reject(new ToolError('misconfigured', message));
      }
      const description = tool.spec.description ?? spec.description ?? `Runs the workflow ${name}.`;
      return Promise.resolve({ operations: [{ description, inputSchema }] });
    },
    call: (errand, request) => {
      if (!run) return Promise.reject(new ToolError('misconfigured', 'Workflows cannot be run here.'));
      return run(errand, request);
    },
  };
}
