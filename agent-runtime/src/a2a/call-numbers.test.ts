import { expect, test } from '@jest/globals';
import { SendMessageRequest } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { say, serveAgent, startGateway, testAgent } from '../testing/harness.ts';

test('calls of a step are numbered, those of others are not', async () => {
  let calls = 0;
  const gateway = await startGateway((...exchange) => say(++calls % 2 ? '{}' : '{"score": 1}')(...exchange));
  const agent = await serveAgent({
    gatewayUrl: gateway.url,
    agent: testAgent({ output: { schema: { type: 'object', required: ['score'] } } }),
  });
  const client = await new ClientFactory().createFromUrl(agent.url);
  for (const stepToken of ['step-secret', 'step-secret', undefined]) {
    const metadata = stepToken === undefined ? {} : { 'kadre.dev/step-token': stepToken };
    const message = { messageId: `m${calls}`, role: 'ROLE_USER', parts: [{ text: 'Hi' }], metadata };
    for await (const { payload } of client.sendMessageStream(SendMessageRequest.fromJSON({ message }))) {
      expect(payload).toBeDefined();
    }
  }
  // The second call asks for an answer that matches; a task that is begun anew counts from the beginning.
  const numbers = gateway.requests.map(({ headers }) => headers['kadre-call']);
  expect(numbers).toEqual(['1', '2', '1', '2', undefined, undefined]);
  await agent.runtime.shutdown(0);
  await gateway.close();
});
