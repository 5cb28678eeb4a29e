// What servers say of their tools, and what these give back, as models can read it.
import type { CallToolResult, Tool as McpTool } from '@modelcontextprotocol/client';
import type { Content, Described, Operation, ToolAnswer } from '../contract.ts';
import { ToolError } from '../tool-error.ts';
import { argumentsComplaint, schemaComplaint } from '../schema-bounds.ts';

const MAX_TOOLS = 256;
const MAX_NAME = 128;
const IMAGE = /^image\/(png|jpeg|gif|webp)$/;

export function readOperations(
  tools: readonly McpTool[],
  server: { name: string; version: string } | undefined,
): Described {
  const operations: Operation[] = [];
  const leftOut: string[] = [];
  for (const tool of tools) {
    const complaint =
      operations.length >= MAX_TOOLS ? `there are more than ${MAX_TOOLS}` : complaintOf(tool, operations);
    if (complaint === undefined) operations.push(toOperation(tool));
    else if (leftOut.length < MAX_TOOLS) leftOut.push(`${tool.name.slice(0, MAX_NAME)}: ${complaint}`);
  }
  return {
    operations,
    ...(server === undefined ? {} : { server: `${server.name} ${server.version}`.slice(0, 253) }),
    ...(leftOut.length === 0 ? {} : { leftOut }),
  };
}

function complaintOf(tool: McpTool, before: readonly Operation[]): string | undefined {
  if (tool.name === '' || tool.name.length > MAX_NAME) return `its name is empty or longer than ${MAX_NAME}`;
  if (before.some(({ name }) => name === tool.name)) return 'there is another one of that name';
  return argumentsComplaint(tool.inputSchema) ?? (tool.outputSchema && schemaComplaint(tool.outputSchema));
}

const toOperation = ({ name, title, description, inputSchema, outputSchema }: McpTool): Operation => ({
  name,
  description: description ?? title ?? '',
  inputSchema,
  ...(outputSchema === undefined ? {} : { outputSchema: outputSchema }),
});

export function readResult({ content, structuredContent, isError = false }: CallToolResult): ToolAnswer {
  const read = content.map(readBlock);
  const structured = structuredContent === undefined ? {} : { structured: structuredContent as unknown };
  const text: Content[] =
    structuredContent === undefined ? [] : [{ type: 'text', text: JSON.stringify(structuredContent) }];
  return { content: read.length === 0 ? text : read, isError, ...structured };
}

function readBlock(block: CallToolResult['content'][number]): Content {
  switch (block.type) {
    case 'text':
      return { type: 'text', text: block.text };
    case 'image':
      return (
        image(block.data, block.mimeType) ?? {
          type: 'text',
          text: `[an image of type ${block.mimeType}, which no model can read]`,
        }
      );
    case 'audio':
      return { type: 'text', text: `[a sound of type ${block.mimeType}, which is not passed on]` };
    case 'resource_link':
      return { type: 'text', text: `[a link to ${block.name}: ${block.uri}]` };
    case 'resource': {
      const { resource } = block;
      if ('text' in resource) return { type: 'text', text: resource.text };
      const type = resource.mimeType ?? 'unknown type';
      return (
        image(resource.blob, type) ?? {
          type: 'text',
          text: `[a file of type ${type} at ${resource.uri}, which is not passed on]`,
        }
      );
    }
    default:
      throw new ToolError('malformed', 'The server sends content of a kind that is not known.', { sent: true });
  }
}

const image = (data: string, mediaType: string): Content | undefined =>
  IMAGE.test(mediaType) && /^[A-Za-z0-9+/]*={0,2}$/.test(data) ? { type: 'image', data, mediaType } : undefined;
