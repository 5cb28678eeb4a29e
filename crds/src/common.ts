// Pieces of spec that several kinds use.
import { z } from 'zod';

/** A lower-case DNS label: the names of Kadre's objects become names of Services, so they obey the same rule. */
export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

/** A length of time such as 300ms, 90s, 5m, 2h or 1d. */
export const duration = z
  .string()
  .max(16)
  .regex(/^[0-9]+(ms|s|m|h|d)$/);

/** Any JSON value. The API server keeps what it finds here as it is. */
export const json = z.unknown();

/** A JSON Schema document, kept as it is. */
export const jsonSchema = z.record(z.string(), z.unknown());

export const secretKeyRef = z.object({
  name: z.string().min(1).max(253).describe('The name of a Secret in the same namespace.'),
  key: z.string().min(1).max(253).describe('The key inside the Secret.'),
});

export const quantity = z.string().max(32);

export const resources = z.object({
  requests: z.record(z.string().max(253), quantity).optional().describe('What is set aside for the container.'),
  limits: z.record(z.string().max(253), quantity).optional().describe('What the container may use at most.'),
});

export const envVar = z.object({
  name: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
    .describe('The name of the variable.'),
  value: z.string().max(8192).describe('Its value. Never put a secret here; agents need none.'),
});

export const gpuRequest = z.object({
  pool: dnsLabel.describe('The GpuPool to take the devices from.'),
  count: z.int().min(1).max(64).default(1).describe('How many whole devices.'),
});

export type Resources = z.infer<typeof resources>;
export type EnvVar = z.infer<typeof envVar>;
export type GpuRequest = z.infer<typeof gpuRequest>;
export type SecretKeyRef = z.infer<typeof secretKeyRef>;
