// The server of a Tool that Kadre runs: an image, and what its pod may reach.
import { z } from 'zod';
import { envVar, image, objectName, resources } from './common.ts';
import { listMap } from './markers.ts';

const PORT = 8080;
const PREFIX = 'tool-';
/** The Service is named after the Tool, and names of Services are DNS labels. */
export const LONGEST_SERVED_NAME = 63 - PREFIX.length;

const cidr = z
  .string()
  .max(43)
  .regex(/^([0-9]{1,3}[.]){3}[0-9]{1,3}\/[0-9]{1,2}$|^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*\/[0-9]{1,3}$/);

const egress = z
  .object({
    cidr: cidr.describe('A range of addresses, such as 203.0.113.0/24.'),
    except: z
      .array(cidr.describe('One range inside the other.'))
      .max(16)
      .optional()
      .describe('What of it stays out of reach.'),
    ports: z.array(z.int().min(1).max(65535).describe('One TCP port.')).min(1).max(16).describe('TCP ports.'),
  })
  .describe('One way out.');

export const toolServer = z.object({
  image: image.describe('The image. It runs under restricted Pod Security, with a read-only root and a writable /tmp.'),
  command: z
    .array(z.string().max(8192).describe('One word.'))
    .max(64)
    .optional()
    .describe("Instead of the image's entrypoint."),
  args: z.array(z.string().max(8192).describe('One argument.')).max(128).optional().describe('Arguments.'),
  env: z.array(envVar).max(64).meta(listMap('name')).optional().describe('Environment variables.'),
  envFrom: z
    .object({
      secretRef: z
        .object({ name: objectName.describe('A Secret of this namespace.') })
        .describe('Its keys become variables.'),
    })
    .optional()
    .describe('Variables from a Secret, such as the key that the server itself shows elsewhere.'),
  port: z.int().min(1024).max(65535).default(PORT).describe('Where it listens.'),
  path: z
    .string()
    .max(253)
    .regex(/^\/[A-Za-z0-9._~/-]*$/)
    .default('/mcp')
    .describe('The path under which it speaks streamable HTTP.'),
  replicas: z
    .int()
    .min(0)
    .max(100)
    .default(1)
    .describe('How many pods. More than one: sessions may not live in one pod.'),
  resources: resources.optional().describe('What the container needs.'),
  runtimeClassName: objectName.optional().describe('A RuntimeClass such as gvisor or kata.'),
  egress: z
    .array(egress)
    .max(32)
    .optional()
    .describe('What its pods may reach, besides DNS. Absent: nothing else. Holds where the network enforces policies.'),
});

export type ToolServer = z.infer<typeof toolServer>;

/** The name of what the server of a Tool consists of. */
export const toolServerName = (tool: string): string => `${PREFIX}${tool}`;

/** Where the server answers inside the cluster. `clusterDomain`: such as cluster.local; absent: the search path completes it. */
export function toolServerUrl(
  { name, namespace = '' }: { name: string; namespace?: string | undefined },
  { path }: Pick<ToolServer, 'path'>,
  clusterDomain?: string,
): string {
  const suffix = clusterDomain === undefined ? '' : `.${clusterDomain}`;
  return `http://${toolServerName(name)}.${namespace}.svc${suffix}${path}`;
}
