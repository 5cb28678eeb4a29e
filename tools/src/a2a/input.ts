/** What an agent is asked with, be it of this cluster or anywhere. */
export const agentInputSchema: Record<string, unknown> = {
  type: 'object',
  properties: {
    prompt: { type: 'string', minLength: 1, description: 'What it shall do, with all that it must know.' },
    input: { description: 'Further data, as JSON.' },
  },
  required: ['prompt'],
  additionalProperties: false,
};
