// A gateway for tests of the loop: a model that answers from a list, and tools that do as they are told.
import type { ToolResult } from '@kadre/crds';
import { chunk, completion, sendJson, startStream, type GatewayHandler, type GatewayRequest } from './harness.ts';

/** What the model says, by the number of its answer; the last one again and again. */
export interface Said {
  text?: string;
  calls?: [name: string, args: string][];
}

export interface Scripted {
  /** Each answer, or what to say to a request. */
  model: Said[] | ((request: GatewayRequest) => Said);
  tools?: string[];
  call?: (
    asked: { name: string; arguments: string; tainted?: boolean },
    request: GatewayRequest,
  ) => Partial<ToolResult>;
}

export function toolGateway({ model, tools = ['add', 'look'], call = () => text('done') }: Scripted): GatewayHandler {
  let answers = 0;
  return (request, response) => {
    if (request.path === '/v1/tools') {
      const list = tools.map((name) => ({ name, description: `Does ${name}.`, inputSchema: { type: 'object' } }));
      sendJson(response, 200, { tools: list });
    } else if (request.path === '/v1/tools/call') {
      const result = call(request.body as unknown as Parameters<typeof call>[0], request);
      sendJson(response, 200, { ...text('done'), ...result });
    } else {
      const said = typeof model === 'function' ? model(request) : model[Math.min(answers, model.length - 1)];
      answers += 1;
      return answer(said ?? {}, answers)(request, response);
    }
  };
}

export const text = (said: string): ToolResult => ({
  content: [{ type: 'text', text: said }],
  isError: false,
  trust: 'trusted',
});

function answer({ text: said = '', calls = [] }: Said, turn: number): GatewayHandler {
  const toolCalls = calls.map(([name, args], index) => ({
    id: `call-${turn}-${index}~k1~signature`,
    type: 'function',
    function: { name, arguments: args },
  }));
  const finish = calls.length > 0 ? 'tool_calls' : 'stop';
  return ({ body }, response) => {
    if (body.stream !== true) {
      const message = { role: 'assistant', content: said === '' ? null : said, tool_calls: toolCalls };
      const choices = [
        {
          index: 0,
          finish_reason: finish,
          message: calls.length > 0 ? message : { ...message, tool_calls: undefined },
        },
      ];
      sendJson(response, 200, { ...completion(''), choices });
      return;
    }
    startStream(response);
    for (const word of said.split(/(?<= )/).filter((word) => word !== '')) response.write(chunk({ content: word }));
    for (const [index, { id, type, function: called }] of toolCalls.entries()) {
      const half = Math.ceil(called.arguments.length / 2);
      const pieces = [called.arguments.slice(0, half), called.arguments.slice(half)];
      response.write(chunk({ tool_calls: [{ index, id, type, function: { name: called.name, arguments: '' } }] }));
      for (const piece of pieces) response.write(chunk({ tool_calls: [{ index, function: { arguments: piece } }] }));
    }
    response.write(chunk({}, finish));
    const usage = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };
    response.write(`data: ${JSON.stringify({ id: 'chatcmpl-1', choices: [], usage })}\n\n`);
    response.end('data: [DONE]\n\n');
  };
}
