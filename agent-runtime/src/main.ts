// Process entry: `serve` (default) answers requests until SIGTERM; `step` runs one step and ends.
import { runtimeEnv } from '@kadre/crds';
import { pino, type Logger } from 'pino';
import { tokenFromFile } from './credentials.ts';
import { readSettings, requireStepToken, SettingsError, type Settings } from './settings.ts';

const EXIT = { done: 0, failed: 1, wrongSettings: 2, terminated: 143 } as const;
const HOST = '::';

async function serve(settings: Settings, logger: Logger): Promise<void> {
  const { createRuntime, AgentConfigError } = await import('./runtime.ts');
  const runtime = await createRuntime(settings, {
    token: tokenFromFile(settings.tokenFile),
    logger,
    processMetrics: true,
  }).catch((error: unknown) => {
    if (!(error instanceof AgentConfigError)) throw error;
    throw new SettingsError(`${runtimeEnv.agent} is wrong (${error.message}): correct the Agent and apply it again`, {
      cause: error,
    });
  });
  const stop = (signal: string): void => {
    logger.info({ signal }, 'shutting down');
    void runtime.shutdown(settings.shutdownMs).then(() => process.exit(EXIT.done));
  };
  process.once('SIGTERM', stop).once('SIGINT', stop);
  const url = await listenAnywhere(runtime, settings.port);
  logger.info({ url, startedInMs: Math.round(performance.now()) }, 'listening');
}

/** Both IP families where the node has both. */
async function listenAnywhere(
  runtime: { listen(address: { host: string; port: number }): Promise<string> },
  port: number,
): Promise<string> {
  try {
    return await runtime.listen({ host: HOST, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAFNOSUPPORT') throw error;
    return runtime.listen({ host: '0.0.0.0', port });
  }
}

async function step(settings: Settings, logger: Logger): Promise<number> {
  const stepToken = requireStepToken(settings);
  const { runStep } = await import('./step/step.ts');
  const terminated = new AbortController();
  process.once('SIGTERM', () => terminated.abort());
  const end = await runStep(
    { ...settings, stepToken },
    { token: tokenFromFile(settings.tokenFile), logger, signal: terminated.signal },
  );
  if (end === 'reported') return EXIT.done;
  return terminated.signal.aborted ? EXIT.terminated : EXIT.failed;
}

async function main(): Promise<void> {
  const [mode = 'serve'] = process.argv.slice(2);
  if (mode !== 'serve' && mode !== 'step')
    throw new SettingsError(`There is no mode ${JSON.stringify(mode)}: use serve or step`);
  const settings = readSettings(process.env);
  const logger = pino({
    level: settings.logLevel,
    base: { agent: settings.agent.name, namespace: settings.agent.namespace },
  });
  if (mode === 'serve') await serve(settings, logger);
  else process.exitCode = await step(settings, logger);
}

main().catch((error: unknown) => {
  const expected = error instanceof SettingsError || (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
  process.stderr.write(
    `${expected ? (error as Error).message : String(error instanceof Error ? error.stack : error)}\n`,
  );
  process.exit(error instanceof SettingsError ? EXIT.wrongSettings : EXIT.failed);
});
