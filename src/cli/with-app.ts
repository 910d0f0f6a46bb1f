import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type App, type AppDeps, openApp } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { createLogger, silentLogger } from '../log/logger.ts';
import type { Context, GlobalOptions } from './context.ts';
import { EXIT } from './exit.ts';
import { requireConfig } from './require-config.ts';

/** Runs a command with everything it works with, and closes that whatever happens. */
export async function withApp(
  context: Context,
  options: GlobalOptions,
  command: (app: App) => Promise<number>,
): Promise<number> {
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  await using app = await openApp(config, appDeps(context, options, config));
  // Awaited here: what the command works with must outlive it.
  return await command(app);
}

export function appDeps(context: Context, { logLevel }: GlobalOptions, { log }: Config): AppDeps {
  const { env, clock, user, stderr } = context;
  return {
    env,
    clock,
    // A person reads the result; the log is there on request.
    logger:
      logLevel === undefined
        ? silentLogger
        : createLogger({ level: logLevel, format: log.format, stream: stderr }),
    actor: { kind: 'cli', name: user },
    replica: `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`,
  };
}
