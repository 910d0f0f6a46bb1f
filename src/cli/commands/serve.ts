import type { Command } from 'commander';
import type { OnRemovedConfigMap } from '../../app/config-maps/watched-source.ts';
import type { Server } from '../../commands/serve/server.ts';
import type { LoadResult, UsableConfig } from '../../config/check-documents.ts';
import type { Config } from '../../config/config.ts';
import { diffConfig, isEmptyDiff } from '../../config/diff.ts';
import { shownPath } from '../../config/files/config-maps.ts';
import type { FilesInForce } from '../../config/includes.ts';
import type { Problem } from '../../config/problem.ts';
import type { ConfigWatch } from '../../config/watch/watch.ts';
import { AppError } from '../../core/errors.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
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
  /** Aborted when the configuration changes while the service opens. */
  #superseded = new AbortController();
  readonly #inTurn = createSerialExecutor();

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
    const before = this.#config;
    if (loaded.kind === 'invalid') {
      if (this.#server !== undefined) await this.#server.refused(this.#problems);
      else if (before !== undefined)
        this.#logger(before).error('the configuration is invalid; the last valid one stays active', {
          count: this.#problems.length,
        });
      return;
    }
    if (before === undefined) return;
    const isSame = () => isEmptyDiff(diffConfig(before, loaded.config));
    this.#config = loaded.config;
    this.filesInForce = loaded.inForce;
    if (this.#server !== undefined || !isSame()) await this.#applyNewest();
    if (wasInvalid && isSame()) await this.#reportValidAgain(loaded.config);
  }

  /**
   * Applies the newest configuration. A service that is opening applies it afterwards. If it waits for a dependency, it
   * opens again, because the new configuration may change this dependency.
   */
  #applyNewest(): Promise<void> {
    return this.#inTurn(async () => {
      const [server, before, next] = [this.#server, this.#inForce, this.#config];
      if (server === undefined || before === undefined || next === undefined) {
        this.#superseded.abort(new AppError('INTERRUPTED'));
        return;
      }
      const diff = diffConfig(before, next);
      if (diff.restart.length > 0) return this.#changed.resolve(undefined);
      // A comment may have changed.
      if (isEmptyDiff(diff)) return server.followStatus(next);
      try {
        await server.apply(next, diff);
        if (this.#server === server) this.#inForce = next;
      } catch (error) {
        // Part of the change may be applied.
        this.#changed.resolve(undefined);
        throw error;
      }
    });
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
      this.#superseded = new AbortController();
      const opening = this.#config;
      const logger = this.#logger(opening);
      const server = await this.#open(opening, logger, onLargeValue);
      if (server !== undefined) {
        this.#applyNewest().catch((error: unknown) => this.configurationChecked(error));
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
    const ending = new AbortController();
    void changed.promise.then(() => ending.abort(new AppError('INTERRUPTED')));
    const superseded = AbortSignal.any([ending.signal, this.#superseded.signal]);
    const print = (line: string) => stdout.write(`${line}\n`);
    try {
      const server = await openServer(config, {
        ...sharedDeps(this.#context, { logger, scrubber: this.#scrubber, print }),
        previousConfig: this.#inForce,
        version: VERSION,
        configProblems: () => this.#problems,
        signal: AbortSignal.any([signal, ending.signal]),
        superseded,
        onOutdated: () => this.#changed.resolve(undefined),
        onFatal: (error) => this.#changed.resolve(error),
        onLargeValue,
      });
      this.#inForce = config;
      this.#server = server;
      return server;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!superseded.aborted) throw error;
      // The configuration has changed during the start. The new configuration may fix the problem, so start again with
      // it.
      const fatal = await Promise.race([changed.promise, Promise.resolve(undefined)]);
      if (fatal !== undefined) throw fatal;
      logger.info('the service restarts with a new configuration');
      return undefined;
    }
  }

  async #reportValidAgain(now: Config): Promise<void> {
    if (this.#server !== undefined) await this.#server.validAgain();
    else this.#logger(now).info('the configuration is valid again');
  }

  #logger({ log }: Pick<Config, 'log'>): Logger {
    const level = this.#options.logLevel ?? log.level;
    return createLogger({ ...log, level, stream: this.#context.stderr, scrubber: this.#scrubber });
  }
}
