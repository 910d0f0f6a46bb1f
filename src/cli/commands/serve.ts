import type { Command } from 'commander';
import type { OnRemovedConfigMap } from '../../app/config-maps/watched-source.ts';
import type { Server } from '../../commands/serve/server.ts';
import type { LoadResult, UsableConfig } from '../../config/check-documents.ts';
import type { Config } from '../../config/config.ts';
import { type ConfigDiff, diffConfig, isEmptyDiff } from '../../config/diff.ts';
import { shownPath } from '../../config/files/config-maps.ts';
import type { FilesInForce } from '../../config/includes.ts';
import type { Problem } from '../../config/problem.ts';
import type { ConfigWatch } from '../../config/watch/watch.ts';
import { AppError } from '../../core/errors.ts';
import { createLogger, type Logger } from '../../telemetry/logger.ts';
import { createScrubber } from '../../telemetry/scrub.ts';
import { type Context, type GlobalOptions, VERSION } from '../context.ts';
import { EXIT } from '../errors.ts';
import { createMemoryTrimmer } from '../heap.ts';
import { command, durationOption, type Run } from '../options.ts';
import { painter, printErrorHint, printNotice } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';
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
        context.keepHeapSmall?.('service');
        return serveCommand(context, { ...options, graceMs });
      }),
    );
}

/**
 * The interval at which memory is returned to the system. A first sync of ten thousand targets takes half a minute. So
 * memory is returned at least once during such a sync.
 */
const TRIM_INTERVAL_MS = 20_000;

type Options = GlobalOptions & { readonly graceMs: number };

const loadServer = () => import('../../commands/serve/serve.ts');

/**
 * Runs the service until it is stopped, and applies configuration changes while it runs. If a change cannot be applied
 * to the running service, closes the service and opens it again in the same process.
 */
export async function serveCommand(context: Context, options: Options): Promise<number> {
  const { env, cwd } = context;
  const { createParsedFiles } = await import('../../config/files/parsing.ts');
  const { loadConfig } = await import('../../config/load.ts');
  const { watchConfig } = await import('../../config/watch/watch.ts');
  const service = new RunningService(context, options);
  const parsed = createParsedFiles();
  const { watchConfigMaps } = await import('../../app/config-maps/watched-source.ts');
  await using teams = watchConfigMaps({
    ...{ env, clock: context.clock, stop: context.signal },
    onRemoved: (place, cause) => service.configMapRemoved(place, cause),
    onSeen: (place) => service.configMapSeen(place),
  });
  await using watch: ConfigWatch = await watchConfig({
    load: (readFs) =>
      loadConfig({
        ...{ paths: options.config ?? [], env, cwd, readFs, parsed },
        inForce: service.filesInForce,
        mappings: service.mappings,
        configMaps: teams.configMaps,
        meanwhile: loadServer,
      }),
    ...{ readFs: teams.readFs, watchFolder: teams.watchFolder },
    onChange: (loaded) => service.applyLoaded(loaded),
    onProgress: (error) => service.configurationChecked(error),
  });
  const { initial } = watch;
  if (initial.kind === 'invalid') {
    printNotice(context, await problemsText(initial.problems, painter(context.color), cwd));
    printErrorHint(
      context,
      'human',
      initial.problems.map(({ code }) => code),
    );
    return EXIT.config;
  }
  const memory = createMemoryTrimmer();
  const trimTimer = setInterval(() => memory.trim(), TRIM_INTERVAL_MS);
  trimTimer.unref();
  using closing = new DisposableStack();
  closing.defer(() => clearInterval(trimTimer));
  context.onHangup?.(() => {
    void watch.reload();
    service.checkCredentials();
  });
  await service.run(initial, (bytes) => memory.addLargeValue(bytes));
  return EXIT.ok;
}

/** The service with its current configuration. Some configuration changes close the service and open it again. */
class RunningService {
  /** The versions of included files that the next load falls back to. */
  filesInForce: FilesInForce = new Map();
  readonly #context: Context;
  readonly #options: Options;
  readonly #scrubber = createScrubber();
  #problems: readonly Problem[] = [];
  /** Undefined before the first run. */
  #config: Config | undefined;
  #server: Server | undefined;
  /** The last configuration that was applied. */
  #inForce: Config | undefined;
  /**
   * Resolves to undefined if the service must be opened again. Resolves to an error if the service must end with this
   * error.
   */
  #changed = Promise.withResolvers<AppError | undefined>();

  constructor(context: Context, options: Options) {
    this.#context = context;
    this.#options = options;
  }

  /** The mappings of the configuration in force. */
  get mappings(): Config['mappings'] {
    return this.#config?.mappings ?? [];
  }

  async applyLoaded(loaded: LoadResult): Promise<void> {
    const wasInvalid = this.#problems.length > 0;
    this.#problems = loaded.kind === 'usable' ? [] : loaded.problems;
    const current = this.#config;
    if (loaded.kind === 'invalid') {
      if (this.#server !== undefined) await this.#server.refused(this.#problems);
      else if (current !== undefined)
        this.#logger(current).error('the configuration is invalid; the last valid one stays active', {
          count: this.#problems.length,
        });
      return;
    }
    if (current === undefined) return;
    const diff = diffConfig(current, loaded.config);
    this.#config = loaded.config;
    this.filesInForce = loaded.inForce;
    if (isEmptyDiff(diff)) {
      // A comment may have changed.
      this.#server?.followStatus(loaded.config);
      return wasInvalid ? this.#reportValidAgain(loaded.config) : undefined;
    }
    if (diff.restart.length > 0 || this.#server === undefined) this.#changed.resolve(undefined);
    else await this.#applyOrReopen(this.#server, loaded.config, diff);
  }

  configurationChecked(error: unknown): void {
    this.#server?.configurationChecked();
    if (error !== undefined && this.#config !== undefined)
      this.#logger(this.#config).error('a configuration change could not be applied', { error });
  }

  /** Says why the mappings of a ConfigMap end. */
  configMapRemoved(...[place, cause]: Parameters<OnRemovedConfigMap>): void {
    if (this.#config === undefined) return;
    const logger = this.#logger(this.#config);
    const fields = { name: shownPath(place) };
    if (cause === 'deleted') logger.info('a ConfigMap was deleted; its mappings end', fields);
    else {
      logger.info('a ConfigMap no longer has the labels of its `include`; its mappings end', fields);
      this.#server?.configMapLostLabels(place);
    }
  }

  configMapSeen(place: Parameters<OnRemovedConfigMap>[0]): void {
    this.#server?.configMapSeen(place);
  }

  checkCredentials(): void {
    void this.#server?.checkCredentials();
  }

  /**
   * Opens the service. Opens it again after each change that a running service cannot apply. Ends when the signal is
   * aborted.
   */
  async run(
    { config, inForce }: Pick<UsableConfig, 'config' | 'inForce'>,
    onLargeValue: (bytes: number) => void,
  ): Promise<void> {
    const { signal } = this.#context;
    this.#config = config;
    this.filesInForce = inForce;
    const stopped = new Promise<undefined>((resolve) => {
      if (signal.aborted) resolve(undefined);
      signal.addEventListener('abort', () => resolve(undefined), { once: true });
    });
    while (!signal.aborted) {
      this.#changed = Promise.withResolvers();
      const opening = this.#config;
      const logger = this.#logger(opening);
      const server = await this.#open(opening, logger, onLargeValue);
      if (server !== undefined) {
        this.#inForce = opening;
        const fatal = await Promise.race([stopped, this.#changed.promise]);
        if (signal.aborted || fatal !== undefined) logger.info('the service is shutting down');
        else logger.info('the service restarts with a new configuration');
        this.#server = undefined;
        await server.close(this.#options.graceMs);
        if (fatal !== undefined) throw fatal;
      }
    }
  }

  /**
   * Opens the service, which may wait for a dependency. Returns undefined if the service is stopped or the
   * configuration changes during the wait.
   */
  async #open(
    config: Config,
    logger: Logger,
    onLargeValue: (bytes: number) => void,
  ): Promise<Server | undefined> {
    const { openServer } = await loadServer();
    const { signal, stdout } = this.#context;
    const changed = this.#changed;
    const superseded = new AbortController();
    void changed.promise.then(() => superseded.abort(new AppError('INTERRUPTED')));
    const print = (line: string) => stdout.write(`${line}\n`);
    try {
      this.#server = await openServer(config, {
        ...sharedDeps(this.#context, { logger, scrubber: this.#scrubber, print }),
        previousConfig: this.#inForce,
        version: VERSION,
        random: Math.random,
        configProblems: () => this.#problems,
        signal: AbortSignal.any([signal, superseded.signal]),
        onOutdated: () => this.#changed.resolve(undefined),
        onFatal: (error) => this.#changed.resolve(error),
        onLargeValue,
      });
      return this.#server;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!superseded.signal.aborted) throw error;
      // The configuration has changed during the start. The new configuration may fix the problem, so start again with
      // it.
      const fatal = await changed.promise;
      if (fatal !== undefined) throw fatal;
      logger.info('the service restarts with a new configuration');
      return undefined;
    }
  }

  async #reportValidAgain(now: Config): Promise<void> {
    if (this.#server !== undefined) await this.#server.validAgain();
    else this.#logger(now).info('the configuration is valid again');
  }

  /**
   * Applies a configuration change. If that fails halfway, opens the service again with the complete new configuration.
   */
  async #applyOrReopen(running: Server, next: Config, diff: ConfigDiff): Promise<void> {
    try {
      await running.apply(next, diff);
      this.#inForce = next;
    } catch (error) {
      this.#changed.resolve(undefined);
      throw error;
    }
  }

  #logger({ log }: Pick<Config, 'log'>): Logger {
    const level = this.#options.logLevel ?? log.level;
    return createLogger({ ...log, level, stream: this.#context.stderr, scrubber: this.#scrubber });
  }
}
