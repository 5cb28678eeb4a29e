// A Workflow as a tool: each call is a Run of its own.
import { z } from 'zod';
import { dnsLabel } from './common.ts';

export const workflowTool = z
  .object({ name: dnsLabel.describe('The name of a Workflow in this namespace.') })
  .describe(
    'A Workflow. Each call makes a Run with the arguments as its input, waits for it, and answers with its output.',
  );

/** How deep Runs may ask for further Runs through Tools. */
export const WORKFLOW_TOOL_DEPTH = 5;
