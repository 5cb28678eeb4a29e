// The agent's A2A card.
import { createHash } from 'node:crypto';
import { A2A_PATH, type AgentConfig } from '@kadre/crds';

export interface Card {
  json: Record<string, unknown>;
  etag: string;
}

/** @param baseUrl where callers reach the agent, without a slash at its end. */
export function agentCard(config: AgentConfig, baseUrl: string): Card {
  const { name, description = `The agent ${config.name}.`, output } = config;
  const digest = createHash('sha256').update(JSON.stringify(config)).digest('hex');
  const json = {
    name,
    description,
    // It changes with everything that makes the agent answer otherwise.
    version: digest.slice(0, 12),
    supportedInterfaces: [{ url: `${baseUrl}${A2A_PATH}`, protocolBinding: 'JSONRPC', protocolVersion: '1.0' }],
    capabilities: { streaming: true, pushNotifications: false, extendedAgentCard: false },
    defaultInputModes: ['text/plain', 'application/json'],
    defaultOutputModes: [output === undefined ? 'text/plain' : 'application/json'],
    skills: [{ id: name, name, description, tags: ['agent'] }],
  };
  return { json, etag: `"${createHash('sha256').update(JSON.stringify(json)).digest('hex').slice(0, 32)}"` };
}
