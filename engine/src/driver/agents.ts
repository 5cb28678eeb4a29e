/** Where agents are served; the operator's cache knows. */
export interface AgentDirectory {
  /**
   * `serving`: the agent has a Service; else its steps run in Jobs. `url`: the base URL of that Service, such as
   * `http://researcher.team.svc`. Must answer from a cache that is complete: an agent that is not found fails the step.
   */
  resolve(namespace: string, agent: string): { found: boolean; serving: boolean; url?: string };
}
