import type { Command } from 'commander';
import type { Server } from '../../commands/serve/serve.ts';
import type { Config } from '../../config/config.ts';
import { type ConfigDiff, diffConfig, isEmptyDiff } from '../../config/diff.ts';
import type { LoadResult } from '../../config/load.ts';
import type { Problem } from '../../config/problem.ts';
import type { ConfigWatch } from '../../config/watch/watch.ts';
import { AppError } from '../../core/errors.ts';
import { createLogger } from '../../telemetry/logger.ts';
import { createScrubber } from '../../telemetry/scrub.ts';
import { type Context, type GlobalOptions, VERSION } from '../context.ts';
import { EXIT } from '../errors.ts';
import { createMemoryTrimmer, keepHeapSmall } from '../heap.ts';
import { command, durationOption, type Run } from '../options.ts';
import { painter, printErrorHint, printNotice, problemsText } from '../texts/output.ts';
import { sharedDeps } from '../with-app.ts';

export function addServe(program: Command, context: Context, run: Run): void {
  command(
    program,
    'serve',
    'Run the service: keep every target in sync until SIGTERM or Ctrl-C. SIGHUP reloads the configuration.',
    {
      examples: ['secretbridge serve --config /etc/secretbridge/'],
      more: 'It watches its configuration, stores and targets. `status` shows the state of the running service.',
      see: ['status', 'docs/how-to/run-the-service.md', 'docs/how-to/install-with-helm.md'],
    },
  )
    .option('--grace <duration>', 'longest time to finish running writes on shutdown', '25s')
    .action((options: GlobalOptions & { grace: string }) =>
      run(async () => {
        const graceMs = durationOption('--grace', options.grace);
        keepHeapSmall();
        return serveCommand(context, { ...options, graceMs });
      }),
    );
}

/** The interval for returning memory to the system. A first sync of ten thousand targets takes half a minute. */
const TRIM_INTERVAL_MS = 20_000;

type Options = GlobalOptions & { readonly graceMs: number };

/**
 * Runs until it is stopped. Applies configuration changes to the running service. A change that cannot be applied
 * closes the service and opens it again in this process.
 */
export async function serveCommand(context: Context, options: Options): Promise<number> {
  const { env, cwd } = context;
  let problems: readonly Problem[] = [];
  let config: Config | undefined;
  let server: Server | undefined;
  /** The last configuration that was applied. */
  let inForce: Config | undefined;
  let changed = Promise.withResolvers<AppError | undefined>();
  const scrubber = createScrubber();
  const loggerOf = ({ log }: Pick<Config, 'log'>) =>
    createLogger({ ...log, level: options.logLevel ?? log.level, stream: context.stderr, scrubber });

  const applyLoaded = async (loaded: LoadResult): Promise<void> => {
    const wasInvalid = problems.length > 0;
    problems = loaded.kind === 'usable' ? [] : loaded.problems;
    if (loaded.kind === 'invalid') {
      if (server !== undefined) await server.refused(problems);
      else if (config !== undefined)
        loggerOf(config).error('the configuration is invalid; the last valid one stays active', {
          count: problems.length,
        });
      return;
    }
    if (config === undefined) return;
    const diff = diffConfig(config, loaded.config);
    config = loaded.config;
    if (isEmptyDiff(diff)) return wasInvalid ? reportValidAgain(config) : undefined;
    if (diff.restart.length > 0 || server === undefined) changed.resolve(undefined);
    else await applyOrReopen(server, loaded.config, diff);
  };

  const reportValidAgain = async (now: Config): Promise<void> => {
    if (server !== undefined) await server.validAgain();
    else loggerOf(now).info('the configuration is valid again');
  };

  /** If applying a change fails halfway, reopens the service with the complete configuration. */
  const applyOrReopen = async (running: Server, next: Config, diff: ConfigDiff): Promise<void> => {
    try {
      await running.apply(next, diff);
      inForce = next;
    } catch (error) {
      changed.resolve(undefined);
      throw error;
    }
  };

  const { createParsedFiles } = await import('../../config/files/read.ts');
  const { loadConfig } = await import('../../config/load.ts');
  const { watchConfig } = await import('../../config/watch/watch.ts');
  const parsed = createParsedFiles();
  await using watch: ConfigWatch = await watchConfig({
    load: (readFs) => loadConfig({ paths: options.config ?? [], env, cwd, readFs, parsed }),
    onChange: applyLoaded,
    onProgress: (error) => {
      server?.configurationChecked();
      if (error !== undefined && config !== undefined)
        loggerOf(config).error('a configuration change could not be applied', { error });
    },
  });
  if (watch.initial.kind === 'invalid') {
    printNotice(context, problemsText(watch.initial.problems, painter(context.color)));
    printErrorHint(
      context,
      'human',
      watch.initial.problems.map(({ code }) => code),
    );
    return EXIT.config;
  }
  config = watch.initial.config;
  const memory = createMemoryTrimmer();
  memory.trim();
  const trimTimer = setInterval(() => memory.trim(), TRIM_INTERVAL_MS);
  trimTimer.unref();
  using closing = new DisposableStack();
  closing.defer(() => clearInterval(trimTimer));
  context.onHangup?.(() => {
    void watch.reload();
    void server?.checkCredentials();
  });
  const stopped = new Promise<undefined>((resolve) => {
    if (context.signal.aborted) resolve(undefined);
    context.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });

  const { openServer } = await import('../../commands/serve/serve.ts');
  while (!context.signal.aborted) {
    changed = Promise.withResolvers<AppError | undefined>();
    const logger = loggerOf(config);
    const print = (line: string) => context.stdout.write(`${line}\n`);
    const deps = sharedDeps(context, { logger, scrubber, print });
    const superseded = new AbortController();
    void changed.promise.then(() => superseded.abort(new AppError('INTERRUPTED')));
    const opening = config;
    try {
      server = await openServer(opening, {
        ...deps,
        previousConfig: inForce,
        version: VERSION,
        random: Math.random,
        configProblems: () => problems,
        signal: AbortSignal.any([context.signal, superseded.signal]),
        onOutdated: () => changed.resolve(undefined),
        onFatal: (error) => changed.resolve(error),
        onLargeValue: (bytes) => memory.addLargeValue(bytes),
      });
    } catch (error) {
      // The service was stopped while it waited for a dependency.
      if (context.signal.aborted) break;
      if (!superseded.signal.aborted) throw error;
      // A newer configuration may fix the problem, so try again with it.
      const fatal = await changed.promise;
      if (fatal !== undefined) throw fatal;
      logger.info('the service restarts with a new configuration');
      continue;
    }
    inForce = opening;
    const fatal = await Promise.race([stopped, changed.promise]);
    if (context.signal.aborted || fatal !== undefined) logger.info('the service is shutting down');
    else logger.info('the service restarts with a new configuration');
    const ending = server;
    server = undefined;
    await ending.close(options.graceMs);
    if (fatal !== undefined) throw fatal;
  }
  return EXIT.ok;
}
