import type { Tracing } from '@kadre/telemetry';
import packageJson from '../../package.json' with { type: 'json' };
import type { RoleContext } from '../role-thread.ts';

/** Undefined if there is no collector; then nothing of it is loaded. */
export async function openTracing({ role, config, logger, registry }: RoleContext): Promise<Tracing | undefined> {
  if (!config.telemetry) return undefined;
  const { startTracing } = await import('@kadre/telemetry');
  const { version } = packageJson;
  const process = { service: `kadre-${role}`, version, instance: config.identity };
  return startTracing({ ...config.telemetry, ...process, logger, registry });
}
