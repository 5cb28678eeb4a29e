// What the control plane is told by its environment. The manifests of `config/` and `charts/kadre` set these.
import { z } from 'zod';

const port = (name: string, fallback: number) =>
  z.coerce
    .number({ error: `${name} must be a port number` })
    .int()
    .min(1)
    .max(65535)
    .default(fallback);

const schema = z.object({
  KADRE_DATA_DIR: z.string().min(1).default('/var/lib/kadre'),
  KADRE_RUNTIME_IMAGE: z.string({ error: 'KADRE_RUNTIME_IMAGE must name the agent-runtime image' }).min(1),
  KADRE_GATEWAY_URL: z.url({ error: 'KADRE_GATEWAY_URL must be the URL under which agents reach the gateway' }),
  KADRE_GATEWAY_PORT: port('KADRE_GATEWAY_PORT', 8081),
  KADRE_HEALTH_PORT: port('KADRE_HEALTH_PORT', 8080),
  KADRE_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  KADRE_CLUSTER_DOMAIN: z.string().min(1).optional(),
  POD_NAMESPACE: z.string({ error: 'POD_NAMESPACE must name the namespace that Kadre runs in' }).min(1),
  POD_NAME: z.string({ error: 'POD_NAME must name this replica' }).min(1),
});

/** Plain data, so that it can be handed to a worker thread. */
export interface Config {
  dataDir: string;
  storePath: string;
  runtimeImage: string;
  gatewayUrl: string;
  gatewayPort: number;
  healthPort: number;
  logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Such as cluster.local. Absent: names end in .svc, and each pod's search path completes them. */
  clusterDomain?: string;
  systemNamespace: string;
  identity: string;
}

export class ConfigError extends Error {
  override name = 'ConfigError';
}

/** Throws {@link ConfigError}, whose message has a line for each variable that is missing or wrong. */
export function readConfig(env: Record<string, string | undefined>): Config {
  const parsed = schema.safeParse(env);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new ConfigError(`The environment is not complete:\n${lines.join('\n')}`);
  }
  const e = parsed.data;
  return {
    dataDir: e.KADRE_DATA_DIR,
    storePath: `${e.KADRE_DATA_DIR}/kadre.db`,
    runtimeImage: e.KADRE_RUNTIME_IMAGE,
    gatewayUrl: e.KADRE_GATEWAY_URL.replace(/\/+$/, ''),
    gatewayPort: e.KADRE_GATEWAY_PORT,
    healthPort: e.KADRE_HEALTH_PORT,
    logLevel: e.KADRE_LOG_LEVEL,
    ...(e.KADRE_CLUSTER_DOMAIN !== undefined && { clusterDomain: e.KADRE_CLUSTER_DOMAIN }),
    systemNamespace: e.POD_NAMESPACE,
    identity: e.POD_NAME,
  };
}
