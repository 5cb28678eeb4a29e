// The environment of the process, checked once at the start.
import { isIP } from 'node:net';
import { AGENT_PORT, agentConfig, runtimeEnv } from '@kadre/crds';
import { z } from 'zod';

/** Knobs of the process itself, beside what the operator sets. */
const processEnv = {
  port: 'KADRE_PORT',
  /** Seconds that requests in flight get after SIGTERM. */
  shutdownSeconds: 'KADRE_SHUTDOWN_SECONDS',
  /** Requests and tasks at once; more are answered 503. */
  maxConcurrent: 'KADRE_MAX_CONCURRENT',
} as const;

const RESERVED = ['/', '/health', '/healthz', '/readyz', '/metrics', '/generate', '/a2a', '/v1', '/.well-known'];
const httpUrl = z.url({ protocol: /^https?$/ }).transform((url) => url.replace(/\/+$/, ''));
const endpointPath = /^\/[A-Za-z0-9._~/-]+$/;

const agentJson = z
  .string()
  .transform((text, context) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      context.addIssue({ code: 'custom', message: 'is not JSON' });
      return z.NEVER;
    }
  })
  .pipe(agentConfig)
  .superRefine(({ endpoints }, context) => {
    const seen = new Set<string>();
    for (const { path } of endpoints) {
      const message = endpointProblem(path, seen);
      if (message !== undefined) context.addIssue({ code: 'custom', path: ['endpoints'], message });
      seen.add(path);
    }
  });

const settings = z.object({
  [runtimeEnv.agent]: agentJson,
  [runtimeEnv.gatewayUrl]: httpUrl,
  [runtimeEnv.tokenFile]: z.string().min(1),
  [runtimeEnv.podIp]: z
    .string()
    .refine((ip) => isIP(ip) !== 0, 'is not an IP address')
    .optional(),
  [runtimeEnv.basePath]: z
    .string()
    .regex(/^\/[A-Za-z0-9._~/-]*$/, 'must start with / and hold a plain path')
    .transform((path) => path.replace(/\/+$/, ''))
    .default(''),
  [runtimeEnv.publicUrl]: httpUrl.optional(),
  [runtimeEnv.logLevel]: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  [runtimeEnv.stepToken]: z.string().min(1).optional(),
  [processEnv.port]: z.coerce.number().int().min(0).max(65535).default(AGENT_PORT),
  [processEnv.shutdownSeconds]: z.coerce.number().int().min(0).max(3600).default(25),
  [processEnv.maxConcurrent]: z.coerce.number().int().min(1).max(10_000).default(256),
});

/** What to do about a variable that is missing or wrong. */
const remedies: Record<string, string> = {
  [runtimeEnv.agent]: "set it to the agent's configuration as JSON, as the Kadre operator does",
  [runtimeEnv.gatewayUrl]: 'set it to the address of the gateway, such as http://kadre-gateway.kadre-system.svc',
  [runtimeEnv.tokenFile]: 'set it to the path of the projected ServiceAccount token',
  [runtimeEnv.podIp]: "set it to the pod's IP (fieldRef status.podIP), or leave it out",
  [runtimeEnv.basePath]: 'set it to a path such as /researcher, or leave it out',
  [runtimeEnv.publicUrl]: 'set it to an http or https URL, or leave it out',
  [runtimeEnv.logLevel]: 'set it to debug, info, warn or error, or leave it out',
  [runtimeEnv.stepToken]: 'set it to the token of the step; a Job that the Kadre operator makes has it',
  [processEnv.port]: 'set it to a port number, or leave it out',
  [processEnv.shutdownSeconds]: 'set it to a number of seconds from 0 to 3600, or leave it out',
  [processEnv.maxConcurrent]: 'set it to a number from 1 to 10000, or leave it out',
};

export type Settings = ReturnType<typeof readSettings>;

/** One line: which variable is wrong, and how to mend it. */
export class SettingsError extends Error {
  override name = 'SettingsError';
}

/** @throws {SettingsError} on the first variable that is missing or wrong. */
export function readSettings(env: Record<string, string | undefined>) {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = settings.safeParse(given);
  if (!parsed.success) throw settingsError(parsed.error.issues[0], given);
  const values = parsed.data;
  return {
    agent: values[runtimeEnv.agent],
    gatewayUrl: values[runtimeEnv.gatewayUrl],
    tokenFile: values[runtimeEnv.tokenFile],
    podIp: values[runtimeEnv.podIp],
    basePath: values[runtimeEnv.basePath],
    publicUrl: values[runtimeEnv.publicUrl],
    logLevel: values[runtimeEnv.logLevel],
    stepToken: values[runtimeEnv.stepToken],
    port: values[processEnv.port],
    shutdownMs: values[processEnv.shutdownSeconds] * 1000,
    maxConcurrent: values[processEnv.maxConcurrent],
  };
}

/** The token of the step, which only `step` mode needs. */
export function requireStepToken({ stepToken }: Settings): string {
  if (stepToken !== undefined) return stepToken;
  throw new SettingsError(`${runtimeEnv.stepToken} is not set: ${remedies[runtimeEnv.stepToken] ?? ''}`);
}

function settingsError(issue: z.core.$ZodIssue | undefined, given: Record<string, unknown>): SettingsError {
  const [variable = '', ...path] = (issue?.path ?? []).map(String);
  const remedy = remedies[variable] ?? 'correct it';
  if (!(variable in given)) return new SettingsError(`${variable} is not set: ${remedy}`);
  const where = path.length > 0 ? `${path.join('.')}: ` : '';
  return new SettingsError(`${variable} is wrong (${where}${issue?.message ?? 'invalid'}): ${remedy}`);
}

function endpointProblem(path: string, seen: Set<string>): string | undefined {
  if (!endpointPath.test(path)) return `${path} is not a path of letters, digits and ._~/-`;
  if (seen.has(path)) return `${path} is there twice`;
  const taken = RESERVED.find((reserved) => path === reserved || (reserved !== '/' && path.startsWith(`${reserved}/`)));
  return taken === undefined ? undefined : `${path} is taken by the runtime itself; choose another path`;
}
