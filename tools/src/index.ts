export type { Content, Described, Operation, ReadSecret, Toolbox, ToolAnswer, ToolCallRequest } from './contract.ts';
export { ToolError, type ToolErrorOptions, type ToolFault } from './tool-error.ts';
