import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { App } from '../app/app.ts';
import type { ReadableConfigMaps } from '../app/config-maps/read-once.ts';
import type { AppDeps } from '../app/deps.ts';
import { includeError } from '../commands/includes.ts';
import { brokenIncludes, type Config } from '../config/config.ts';
import type { LoadOptions } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import { toPrintable } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { createLogger, type Logger, silentLogger } from '../telemetry/logger.ts';
import { createScrubber, type Scrubber } from '../telemetry/scrub.ts';
import { type Context, type GlobalOptions, VERSION } from './context.ts';
import { EXIT, UsageError } from './errors.ts';
import { isForPrograms, painter, print, printErrorHint, printNotice } from './texts/output.ts';
import { problemsText } from './texts/problems.ts';

/**
 * Opens the app, runs the command with it, and always closes the app.
 * @param adapt Adapts the configuration for this command.
 */
export async function withApp(
  context: Context,
  options: GlobalOptions & { readonly mapping?: string },
  command: (app: App) => Promise<number>,
  adapt = (config: Config): Config => config,
): Promise<number> {
  const loaded = await requireCompleteConfig(context, options, loadApp);
  if (loaded === undefined) return EXIT.config;
  const config = adapt(loaded);
  if (options.mapping !== undefined) checkMapping(config, options.mapping);
  const { openApp } = await loadApp();
  await using stack = new AsyncDisposableStack();
  const app = stack.use(await openApp(config, appDeps(context, options, config), { stop: context.signal }));
  warnAboutAudit(app, context);
  const code = await command(app);
  // Close the app before printing the warning, because closing writes the last checkpoint.
  await stack.disposeAsync();
  warnAboutCheckpoints(app, context);
  return code;
}

const loadApp = () => import('../app/app.ts');

/** Warns that the audit log cannot be trusted. Read-only commands continue; changes to the cluster are refused. */
function warnAboutAudit({ checkpoints }: App, context: Context): void {
  const paint = painter(context.color);
  for (const { place, checkpoint } of checkpoints?.untrusted() ?? [])
    printNotice(
      context,
      `${paint('yellow', 'warning')}: ${place}: the checkpoint of record ${checkpoint.sequence} is not signed with our key and is ignored`,
    );
  const doubt = checkpoints?.storeError();
  if (doubt === undefined) return;
  const what = 'the audit log cannot be trusted, so changes to the cluster are refused';
  printNotice(context, `${paint('yellow', 'warning')} ${doubt.code}: ${what}`);
}

/**
 * Warns if the last checkpoint could not be written. A service reports such a failure in its log and status instead.
 */
function warnAboutCheckpoints({ checkpoints }: App, context: Context): void {
  const failing = checkpoints?.writeError();
  if (failing === undefined) return;
  const { code, subject = 'the audit log', detail, remedy } = failing;
  const why = detail === undefined ? '' : ` (${detail})`;
  const paint = painter(context.color);
  printNotice(
    context,
    `${paint('yellow', 'warning')} ${code}: ${subject}: the last checkpoint could not be written${why}\n  ${remedy}`,
  );
}

/** Checks the names on the command line. A wrong name is a usage error. */
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
  // Logging is off by default, because commands print their result for people.
  const logger =
    logLevel === undefined
      ? silentLogger
      : createLogger({ level: logLevel, format: log.format, stream: stderr, scrubber });
  // Log to stderr, because stdout contains only the result.
  return sharedDeps(context, { logger, scrubber, print: (line) => stderr.write(`${line}\n`) });
}

/** Returns the dependencies that one-shot commands and the service share. */
export function sharedDeps(
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

/**
 * Prints the problems of the included files that are not in force. Returns the exit code of a command that did
 * everything else: a person must correct these files.
 */
export async function reportBrokenIncludes(context: Context, config: Config, code: number): Promise<number> {
  const broken = brokenIncludes(config);
  if (broken.length === 0) return code;
  const paint = painter(context.color);
  for (const include of broken) {
    const { code } = includeError(include);
    printNotice(context, `${paint('yellow', 'warning')} ${code}: ${toPrintable(include.path)} was left out`);
  }
  printNotice(
    context,
    await problemsText(
      broken.flatMap(({ problems }) => problems),
      paint,
      context.cwd,
    ),
  );
  if (code !== EXIT.ok && code !== EXIT.changes) return code;
  return broken.every((include) => includeError(include).isTransient) ? EXIT.retry : EXIT.person;
}

/** Loads the configuration without ConfigMaps. If it is invalid, prints its problems and returns undefined. */
export function requireConfig(context: Context, options: GlobalOptions): Promise<Config | undefined> {
  return loadOrPrint(context, options, {});
}

/**
 * Loads the configuration with the ConfigMaps that it selects. If it is invalid, prints its problems and returns
 * undefined.
 * @param meanwhile Loads code that the command needs, while another thread parses long files.
 */
export async function requireCompleteConfig(
  context: Context,
  options: GlobalOptions,
  meanwhile: () => Promise<unknown> = async () => undefined,
): Promise<Config | undefined> {
  return loadOrPrint(context, options, { meanwhile, ...(await readableConfigMaps(context)) });
}

/** Returns the ConfigMaps for a single load. */
export async function readableConfigMaps({ env, clock, signal }: Context): Promise<ReadableConfigMaps> {
  const { readOnce } = await import('../app/config-maps/read-once.ts');
  return readOnce({ env, clock, stop: signal });
}

async function loadOrPrint(
  context: Context,
  options: GlobalOptions,
  more: Pick<LoadOptions, 'meanwhile' | 'configMaps' | 'readFs'>,
): Promise<Config | undefined> {
  const { env, cwd } = context;
  const { loadConfig } = await import('../config/load.ts');
  const loaded = await loadConfig({ paths: options.config ?? [], env, cwd, ...more });
  if (loaded.kind === 'usable') return loaded.config;
  await printProblems(context, options, loaded.problems);
  return undefined;
}

/** Prints the problems of the configuration. */
export async function printProblems(
  context: Context,
  options: GlobalOptions,
  problems: readonly Problem[],
): Promise<void> {
  printNotice(context, await problemsText(problems, painter(context.color), context.cwd));
  printErrorHint(
    context,
    options.output,
    problems.map(({ code }) => code),
  );
  if (isForPrograms(options.output))
    print(context, options.output, {
      data: { error: { code: 'CONFIG_INVALID', message: 'the configuration is invalid', problems } },
      human: () => '',
    });
}
