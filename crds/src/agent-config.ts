// What the agent-runtime is told of an Agent, wherever it runs.
import type { AgentSpec } from './agent.ts';
import { milliseconds } from './duration.ts';
import { DEFAULT_CONTEXT_CHARACTERS, type AgentConfig } from './step-contract.ts';

const DEFAULT_TURNS = 16;
const DEFAULT_DURATION = '10m';

export function agentConfigOf(name: string, namespace: string, spec: AgentSpec): AgentConfig {
  const { description, instructions, model, output, serving, tools = [], knowledge = [], agents = [], limits } = spec;
  return {
    name,
    namespace,
    ...(description !== undefined && { description }),
    instructions,
    model,
    ...(output && { output }),
    tools: tools.length + knowledge.length + agents.length > 0,
    ...(spec.memory && { memory: true }),
    limits: {
      turns: limits?.turns ?? DEFAULT_TURNS,
      durationMs: milliseconds(limits?.duration ?? DEFAULT_DURATION),
      contextCharacters: limits?.contextCharacters ?? DEFAULT_CONTEXT_CHARACTERS,
    },
    endpoints: (serving?.endpoints ?? []).map(({ path, input, prompt }) => ({ path, ...(input && { input }), prompt })),
  };
}

/** How much of one conversation is kept for an agent: as many characters as leave half of its model's context free. */
export function conversationRoom(spec: Pick<AgentSpec, 'memory' | 'limits'>) {
  if (spec.memory === undefined) return undefined;
  const context = spec.limits?.contextCharacters ?? DEFAULT_CONTEXT_CHARACTERS;
  return { turns: spec.memory.turns, characters: context / 2 };
}
