// Pieces of spec that several kinds use.
import { z } from 'zod';
import { rules } from './markers.ts';

/** A lower-case DNS label: the names of Kadre's objects become names of Services, so they obey the same rule. */
export const dnsLabel = z
  .string()
  .min(1)
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
  .describe('A name of a-z, 0-9 and -.');

/** The name of an object of Kubernetes' own kinds: labels joined by dots. */
export const objectName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/);

/** The name of a container image. */
export const image = z.string().min(1).max(512).regex(/^\S+$/);

/** A length of time such as 300ms, 90s, 5m, 2h or 1d. The digits are few enough for Go's clock of 292 years. */
export const duration = z
  .string()
  .max(16)
  .regex(/^([0-9]{1,5}[hd]|[0-9]{1,7}(ms|s|m))$/)
  .describe('A whole number and one unit: 300ms, 90s, 5m, 2h or 1d.');

/** A duration for something that cannot take no time at all. */
export const someTime = duration.meta(
  rules({ message: 'this must be longer than nothing: write 1s or more', rule: `self.matches('[1-9]')` }),
);

export const timeZone = z
  .string()
  .min(1)
  .max(64)
  .regex(/^[A-Za-z][A-Za-z0-9_+/-]*$/);

/** Any JSON value. The API server keeps what it finds here as it is. */
export const json = z.unknown();

/** A JSON Schema document, kept as it is. */
export const jsonSchema = z.record(z.string(), z.unknown());

export const secretKeyRef = z.object({
  name: objectName.describe('The name of a Secret in the same namespace.'),
  key: z
    .string()
    .min(1)
    .max(253)
    .regex(/^[-._a-zA-Z0-9]+$/)
    .describe('The key inside the Secret.'),
});

export const quantity = z
  .string()
  .max(32)
  .regex(/^[0-9]+([.][0-9]+)?([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]{1,2})?$/)
  .describe('A quantity in quotes, such as "500m", "2" or "1Gi".');

const amounts = z.record(z.string().max(253), quantity).meta({ maxProperties: 32 });

// Extended resources are those whose name has a domain. Kubernetes gives them out whole and never overcommits them.
const wholeDevices = {
  message: 'devices such as nvidia.com/gpu come in whole numbers: write "1", or ask a GpuPool for them with gpu.count',
  rule: `self.all(name, !name.contains('/') || self[name].matches('^[0-9]+$'))`,
};

export const resources = z
  .object({
    requests: amounts.meta(rules(wholeDevices)).optional().describe('What is set aside for the container.'),
    limits: amounts.meta(rules(wholeDevices)).optional().describe('What the container may use at most.'),
  })
  .meta(
    rules({
      message: 'devices such as nvidia.com/gpu cannot be overcommitted: give limits the same number as requests',
      rule: `!has(self.requests) || self.requests.all(name, !name.contains('/') || (has(self.limits) && name in self.limits && self.limits[name] == self.requests[name]))`,
      fieldPath: '.requests',
    }),
  );

const envName = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
  .meta(
    rules({
      message: 'variables that begin with KADRE_ are set by Kadre; choose another name',
      rule: `!self.startsWith('KADRE_')`,
    }),
  );

export const envVar = z
  .object({
    name: envName.describe('The name of the variable.'),
    value: z.string().max(8192).describe('Its value. Never put a secret here; agents need none.'),
  })
  .describe('One variable.');

export const gpuRequest = z.object({
  pool: dnsLabel.describe('The GpuPool to take the devices from.'),
  count: z.int().min(1).max(64).default(1).describe('How many whole devices.'),
});

export type Resources = z.infer<typeof resources>;
export type EnvVar = z.infer<typeof envVar>;
export type GpuRequest = z.infer<typeof gpuRequest>;
export type SecretKeyRef = z.infer<typeof secretKeyRef>;
