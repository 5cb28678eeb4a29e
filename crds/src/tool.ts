// Tool: something that agents may do, and on which conditions.
import { z } from 'zod';
import { dnsLabel, jsonSchema, someTime, type SecretKeyRef } from './common.ts';
import { rules } from './markers.ts';
import { conditions, observedGeneration, type Resource } from './meta.ts';
import { address, auth, headers } from './tool-address.ts';
import { toolApproval } from './tool-approval.ts';
import { builtin } from './tool-builtin.ts';
import type { ValidationRule } from './structural.ts';
import { LONGEST_SERVED_NAME, toolServer } from './tool-server.ts';
import { workflowTool } from './workflow-tool.ts';

const mcp = z
  .object({
    url: address.optional().describe('Where the server speaks streamable HTTP, such as http://search.tools.svc/mcp.'),
    server: toolServer.optional().describe('Or the image of a server that Kadre runs.'),
    headers: headers.optional().describe('Sent with every request.'),
    auth: auth.optional(),
  })
  .meta(
    rules({
      message: 'the server is at url, or Kadre runs its image: set one of url and server',
      rule: 'has(self.url) != has(self.server)',
    }),
  )
  .describe('A server of the Model Context Protocol. Its tools are found by asking it.');

const http = z
  .object({
    method: z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).default('POST').describe('The HTTP method.'),
    url: z
      .string()
      .max(2048)
      .regex(/^https?:\/\/[^\s/?#@{}]+(\/[^\s?#]*)?$/)
      .describe(
        'The address; {field} in its path stands for a field of the arguments. Of the others, GET and DELETE send them as a query, the rest as a JSON body.',
      ),
    headers: headers.optional().describe('Sent with every request.'),
    auth: auth.optional(),
    input: z.object({ schema: jsonSchema.describe('A JSON Schema of an object.') }).describe('The arguments.'),
    output: z
      .object({ schema: jsonSchema.describe('A JSON Schema.') })
      .optional()
      .describe('What an answer must look like.'),
  })
  .describe('One HTTP endpoint.');

const openapi = z
  .object({
    url: address.optional().describe('Where the document (OpenAPI 3, JSON or YAML) is.'),
    document: z.string().max(262144).optional().describe('The document itself.'),
    baseUrl: address
      .optional()
      .describe(
        'Where the API answers. Absent: the first server of the document, which must be where the document came from.',
      ),
    headers: headers.optional().describe('Sent with every request.'),
    auth: auth.optional(),
  })
  .meta(
    rules({
      message: 'the document is at url, or stands in document: set one of them',
      rule: 'has(self.url) != has(self.document)',
    }),
  )
  .describe('An HTTP API with an OpenAPI document. Each operation is a tool.');

const a2a = z
  .object({
    url: address.describe(
      'Where the agent is. Its card is at /.well-known/agent-card.json below that, and tells where and how it answers.',
    ),
    headers: headers.optional().describe('Sent with every request.'),
    auth: auth.optional(),
  })
  .describe('An agent anywhere that speaks A2A 1.0 over JSON-RPC. It is asked with a prompt.');

const policy = z
  .object({
    rules: z
      .array(
        z
          .object({
            rule: z
              .string()
              .min(1)
              .max(4096)
              .describe(
                'A CEL expression that must be true. It knows args, operation (empty if there is but one), agent (empty for a step that calls the Tool itself), run (name, requestedBy), step and attempt; the last three are null outside of runs.',
              ),
            message: z.string().min(1).max(1024).optional().describe('What the agent is told when it is not.'),
          })
          .describe('One rule.'),
      )
      .min(1)
      .max(32)
      .optional()
      .describe('All must be true.'),
    opa: z
      .object({
        url: address.describe(
          'The decision to ask for, such as http://opa.policy.svc:8181/v1/data/kadre/allow. It gives true, or an object with allow and reason.',
        ),
        timeout: someTime.optional().describe('How long to wait. 2s if absent. Without an answer the call is refused.'),
      })
      .optional()
      .describe('An Open Policy Agent that must agree as well.'),
  })
  .meta(rules({ message: 'a policy says something: set rules or opa', rule: 'has(self.rules) || has(self.opa)' }));

export const toolSpec = z
  .object({
    description: z
      .string()
      .min(1)
      .max(1024)
      .optional()
      .describe('What it is for; the model reads it. Of mcp and openapi, the operations bring their own.'),
    mcp: mcp.optional(),
    http: http.optional(),
    openapi: openapi.optional(),
    a2a: a2a.optional(),
    workflow: workflowTool.optional(),
    builtin: builtin.optional(),
    allow: z
      .array(z.string().min(1).max(253).describe('A name, or a part of names.'))
      .min(1)
      .max(256)
      .optional()
      .describe('Operations that agents may use, with * for any characters. Absent: all.'),
    policy: policy.optional().describe('Who may call it, and how.'),
    approval: toolApproval.optional(),
    limits: z
      .object({
        callsPerMinute: z.int().min(1).max(1_000_000).optional().describe('Calls of the whole namespace in a minute.'),
        concurrent: z.int().min(1).max(10_000).optional().describe('Calls under way at the same time.'),
      })
      .optional()
      .describe('What it bears. Further calls are refused with the reason RateLimited.'),
    timeout: someTime
      .optional()
      .describe('How long one call may take. 30s if absent, 10m for a Workflow and with a2a.'),
    maxResultBytes: z
      .int()
      .min(1024)
      .max(16 * 1024 * 1024)
      .optional()
      .describe('How large an answer may be. 1 MiB if absent.'),
    trust: z
      .enum(['trusted', 'untrusted'])
      .default('untrusted')
      .describe('Whether what it returns may hold words of strangers.'),
    consequential: z
      .boolean()
      .default(false)
      .describe(
        'Whether it changes something outside. Once an agent has read what is untrusted, it may not call such a tool in the same task, unless people whom approval names agree.',
      ),
  })
  .meta(
    rules(
      {
        message: 'a Tool is one of mcp, http, openapi, a2a, workflow and builtin: set exactly one',
        rule: '[has(self.mcp), has(self.http), has(self.openapi), has(self.a2a), has(self.workflow), has(self.builtin)].exists_one(one, one)',
      },
      {
        message: 'allow chooses among operations, which only mcp and openapi have: remove it',
        rule: '!has(self.allow) || has(self.mcp) || has(self.openapi)',
        fieldPath: '.allow',
      },
      {
        message: 'builtin.ask asks people anyway: say there who they are, and leave approval out',
        rule: '!has(self.approval) || !has(self.builtin) || !has(self.builtin.ask)',
        fieldPath: '.approval',
      },
      {
        message: 'say in description what the endpoint does: the model knows nothing else of it',
        rule: '!has(self.http) || has(self.description)',
      },
    ),
  );

/** Of the whole object, since it looks at the name. */
export const toolRules: ValidationRule[] = [
  {
    message: `a Tool whose server Kadre runs has a name of at most ${LONGEST_SERVED_NAME} characters: the server's Service is named after it`,
    rule: `!has(self.spec.mcp) || !has(self.spec.mcp.server) || size(self.metadata.name) <= ${LONGEST_SERVED_NAME}`,
  },
];

export const toolStatus = z.object({
  observedGeneration,
  operations: z
    .array(
      z
        .object({
          name: z.string().max(253).describe('Its name.'),
          description: z.string().max(256).optional().describe('The beginning of what it says of itself.'),
        })
        .describe('One operation.'),
    )
    .max(256)
    .optional()
    .describe('What agents can call, as far as it is allowed here.'),
  server: z.string().max(253).optional().describe('What the server says that it is.'),
  warm: z.int().min(0).optional().describe('How many sandboxes are ready for programs.'),
  checkedAt: z.string().max(64).optional().describe('When it was last asked, RFC 3339.'),
  conditions,
});

/** What an Agent may use. */
export const toolGrant = z.object({
  name: dnsLabel.describe('A Tool of this namespace.'),
  allow: z
    .array(z.string().min(1).max(253).describe('A name, or a part of names.'))
    .min(1)
    .max(256)
    .optional()
    .describe('Operations that this agent may use, with * for any characters. Absent: all that the Tool allows.'),
});

export type ToolSpec = z.infer<typeof toolSpec>;
export type ToolStatus = z.infer<typeof toolStatus>;
export type Tool = Resource<ToolSpec, ToolStatus>;
export type ToolGrant = z.infer<typeof toolGrant>;

/**
 * The name under which a model calls an operation of a Tool: that of the Tool, and that of the operation if it has
 * several. Providers take at most 64 letters, digits, _ and -.
 */
export const toolFunctionName = (tool: string, operation?: string): string =>
  operation === undefined ? tool : `${tool}__${operation.replace(/[^A-Za-z0-9_-]/g, '_')}`;

/** The Secret that the gateway shows to the server of a Tool, and where the spec names it: each kind of Tool has a place. */
export function toolSecretAt({
  mcp,
  http,
  openapi,
  a2a,
  builtin,
}: ToolSpec): { ref: SecretKeyRef; path: string } | undefined {
  const places = [
    ['spec.mcp.auth', mcp?.auth],
    ['spec.http.auth', http?.auth],
    ['spec.openapi.auth', openapi?.auth],
    ['spec.a2a.auth', a2a?.auth],
    ['spec.builtin.slack.auth', builtin?.slack?.auth],
    ['spec.builtin.email.auth', builtin?.email?.auth],
    ['spec.builtin.webhook.signature', builtin?.webhook?.signature],
  ] as const;
  return places.flatMap(([path, at]) => (at ? [{ ref: at.secretRef, path: `${path}.secretRef` }] : []))[0];
}

export const toolSecret = (spec: ToolSpec): SecretKeyRef | undefined => toolSecretAt(spec)?.ref;
