// Why a step or a run did not succeed. Typed, so that `retry.reasons` and dashboards can rely on them.
export const failureReasons = [
  'AgentNotFound', // the step names an Agent that is not there
  'AgentUnavailable', // the agent cannot be reached, or its pod died
  'AgentFailed', // the agent answered that it failed
  'InvalidOutput', // an answer does not match the output schema
  'InvalidInput', // the run's input does not match the schema of the workflow
  'InvalidExpression', // an expression failed on the values it met
  'ModelNotFound', // the agent names a Model that is not there
  'ModelFailed', // the provider refused or failed; not worth trying again as it is
  'ModelUnavailable', // the provider cannot be reached or answers 5xx
  'RateLimited', // the provider asks to slow down
  'ToolFailed', // a tool could not be called, or answered nonsense, and the agent cannot go on without it
  'ToolRefused', // a policy forbids the call of a tool
  'SecretNotFound', // a Secret or its key is missing
  'Unauthorized', // a token is missing, wrong or expired; or a provider key is refused
  'ContainerFailed', // a container ended with an exit code other than 0
  'CodeFailed', // the program of a step ended with an exit code other than 0, or its sandbox died
  'JobRejected', // the API server refused the Job
  'JobLost', // the Job or its pod vanished before it reported an outcome
  'TimedOut', // an attempt took longer than the step's timeout
  'Refused', // a step of the workflow says `fail`
  'BudgetExceeded', // a Budget of the namespace has nothing left for the call
  'ModelUnpriced', // a Model without a known price, where money is limited
  'JournalDiverged', // a step that was begun anew asks something else than before, under the same number
  'LimitExceeded', // a limit of the run or of the agent, or the bound of a loop, is reached
  'RunLimitExceeded', // a call might pass what the whole run may use: the run ends with LimitExceeded
  'ApprovalRejected', // somebody said no, or nobody said anything in time
  'WorkflowNotFound', // a step calls a Workflow that was not there when the run began
  'RunNotFound', // the run to fork is not known any more
  'ConcurrencyConflict', // another run has the place, and the workflow says not to wait
  'Cancelled', // the run was cancelled or deleted
  'InternalError', // a fault in Kadre
] as const;

export type FailureReason = (typeof failureReasons)[number];

/** A failure as it is recorded and passed between parts. */
export interface Failure {
  reason: FailureReason;
  message: string;
}
