import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { App, AppDeps } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { nearest } from '../config/nearest.ts';
import { createLogger, type Logger, silentLogger } from '../log/logger.ts';
import { createScrubber, type Scrubber } from '../log/scrub.ts';
import type { Context, GlobalOptions } from './context.ts';
import { EXIT } from './exit.ts';
import { requireConfig } from './require-config.ts';
import { painter, tell } from './texts/output.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

export interface CommandParts {
  /** What the command takes for the configuration. */
  readonly adapt?: (config: Config) => Config;
  /** Loads what the command itself is made of, while a long configuration is parsed. */
  readonly load?: () => Promise<unknown>;
}

/** Runs a command with everything it works with, and closes that whatever happens. */
export async function withApp(
  context: Context,
  options: GlobalOptions & { readonly mapping?: string },
  command: (app: App) => Promise<number>,
  { adapt = (config) => config, load }: CommandParts = {},
): Promise<number> {
  const loaded = await requireConfig(context, options, () =>
    Promise.all([loadApp(), loadKubernetes(), load?.()]),
  );
  if (loaded === undefined) return EXIT.config;
  const config = adapt(loaded);
  if (options.mapping !== undefined) checkMapping(config, options.mapping);
  const { openApp } = await loadApp();
  await using stack = new AsyncDisposableStack();
  const app = stack.use(await openApp(config, appDeps(context, options, config)));
  warnOfDoubt(app, context);
  const code = await command(app);
  // Its end writes the last checkpoint.
  await stack.disposeAsync();
  warnOfPlaces(app, context);
  return code;
}

const loadApp = () => import('../app/app.ts');

/** Not every app has such a cluster, but nearly every one whose configuration is long. */
export const loadKubernetes = () => import('../cluster/kubernetes.ts');

/** Whoever only looks may go on; what would change the cluster is refused. */
function warnOfDoubt({ checkpoints }: App, context: Context): void {
  const paint = painter(context.color);
  for (const { place, checkpoint } of checkpoints?.untrusted() ?? [])
    tell(
      context,
      `${paint('yellow', 'warning')}: ${place}: the checkpoint of record ${checkpoint.sequence} has no signature of ours and is not trusted`,
    );
  const doubt = checkpoints?.trouble();
  if (doubt === undefined) return;
  const what = 'the audit is in doubt, so what would change the cluster is refused';
  tell(context, `${paint('yellow', 'warning')} ${doubt.code}: ${what}`);
}

/** A service says so in its log and its status. */
function warnOfPlaces({ checkpoints }: App, context: Context): void {
  const failing = checkpoints?.failing();
  if (failing === undefined) return;
  const { code, about = 'the audit', detail, todo } = failing;
  const why = detail === undefined ? '' : ` (${detail})`;
  const paint = painter(context.color);
  tell(
    context,
    `${paint('yellow', 'warning')} ${code}: ${about}: the last checkpoint could not be written${why}\n  ${todo}`,
  );
}

/** A name that is on the command line only is no fault of the configuration. */
function checkMapping({ mappings }: Config, wanted: string): void {
  const names = mappings.map(({ name }) => name);
  if (names.includes(wanted)) return;
  const near = nearest(wanted, names);
  const hint = near === undefined ? '' : `; did you mean ${JSON.stringify(near)}?`;
  throw new UsageError(`there is no mapping ${JSON.stringify(wanted)}${hint}`);
}

export function appDeps(context: Context, { logLevel }: GlobalOptions, { log }: Config): AppDeps {
  const { stderr } = context;
  const scrubber = createScrubber();
  // A person reads the result; the log is there on request.
  const logger =
    logLevel === undefined
      ? silentLogger
      : createLogger({ level: logLevel, format: log.format, stream: stderr, scrubber });
  // Standard output holds the result.
  const deps = depsOf(context, { logger, scrubber, print: (line) => stderr.write(`${line}\n`) });
  return { ...deps, stop: context.signal };
}

/** What every app gets, for one run or for a service. */
export function depsOf(
  { env, clock, user }: Context,
  {
    logger,
    scrubber,
    print,
  }: { readonly logger: Logger; readonly scrubber: Scrubber; readonly print: (line: string) => void },
): AppDeps {
  return {
    env,
    clock,
    logger,
    version: VERSION,
    print,
    onCredential: (value) => scrubber.register(value),
    actor: { kind: 'cli', name: user },
    replica: `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`,
  };
}
