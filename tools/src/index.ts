export type {
  Content,
  Described,
  Operation,
  ReadSecret,
  Toolbox,
  ToolAnswer,
  ToolCaller,
  ToolCallRequest,
} from './contract.ts';
export { failure, textAnswer, type Errand, type Executor } from './executor.ts';
export { ToolError, type ToolErrorOptions, type ToolFault } from './tool-error.ts';
export { askExecutor } from './builtin/ask.ts';
export { agentInputSchema } from './a2a/input.ts';
export { isAllowed } from './policy/allow.ts';
export { workflowExecutor, type FindWorkflow, type RunWorkflow } from './workflow/executor.ts';
export { codeExecutor, type Program, type ProgramEnd, type RunProgram } from './builtin/code.ts';
export { compileRule, type CallFacts, type Rule, type RuleVerdict } from './policy/rules.ts';
export { closedTo, type WrittenBy } from './net/addresses.ts';
export { AddressRefusedError, guardedConnector } from './net/guard.ts';
export { createOutlet, type Outlet, type OutletAnswer } from './net/outlet.ts';
export { signIn } from './net/sign-in.ts';
export { createToolbox, toolTimeoutMs } from './toolbox.ts';
export type { ToolboxOptions } from './toolbox-options.ts';
