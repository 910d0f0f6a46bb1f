import type { Server } from '../../app/serve/serve.ts';
import type { Config } from '../../config/config.ts';
import { type ConfigDiff, diffConfig, isEmptyDiff } from '../../config/diff.ts';
import { createParsedFiles } from '../../config/files/parsed-files.ts';
import type { Loaded } from '../../config/judge.ts';
import { loadConfig } from '../../config/load.ts';
import type { Problem } from '../../config/problem.ts';
import { type ConfigWatch, watchConfig } from '../../config/watch/watch.ts';
import { AppError } from '../../core/errors.ts';
import { createLogger } from '../../log/logger.ts';
import { createScrubber } from '../../log/scrub.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { createSpareMemory } from '../heap.ts';
import { painter, tell } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';
import { VERSION } from '../version.ts';
import { depsOf, loadKubernetes } from '../with-app.ts';

/** What a service is made of: more than half of what a start loads, and nothing that reading a configuration needs. */
const loadParts = () => import('../../app/serve/serve.ts');

const loadAll = () => Promise.all([loadParts(), loadKubernetes()]);

/** A first sync of ten thousand targets takes half a minute. */
const MEMORY_MS = 20_000;

type Options = GlobalOptions & { readonly graceMs: number };

/**
 * Runs until it is told to end. A change of the configuration is applied to what runs; where that cannot be, the
 * service is closed and opened anew within this process.
 */
export async function serveCommand(context: Context, options: Options): Promise<number> {
  const { env, cwd } = context;
  let problems: readonly Problem[] = [];
  let config: Config | undefined;
  let server: Server | undefined;
  /** The one that a server has put in force last. */
  let inForce: Config | undefined;
  let changed = Promise.withResolvers<AppError | undefined>();
  const scrubber = createScrubber();
  const loggerOf = ({ log }: Pick<Config, 'log'>) =>
    createLogger({ ...log, level: options.logLevel ?? log.level, stream: context.stderr, scrubber });

  const take = async (loaded: Loaded): Promise<void> => {
    const wasInvalid = problems.length > 0;
    problems = loaded.kind === 'usable' ? [] : loaded.problems;
    if (loaded.kind === 'invalid') {
      if (server !== undefined) await server.refused(problems);
      else if (config !== undefined)
        loggerOf(config).error('the configuration is invalid, and the last valid one stays in force', {
          count: problems.length,
        });
      return;
    }
    if (config === undefined) return;
    const diff = diffConfig(config, loaded.config);
    config = loaded.config;
    if (isEmptyDiff(diff)) return wasInvalid ? sayValidAgain(config) : undefined;
    if (diff.restart.length > 0 || server === undefined) changed.resolve(undefined);
    else await applyOrReopen(server, loaded.config, diff);
  };

  const sayValidAgain = async (now: Config): Promise<void> => {
    if (server !== undefined) await server.validAgain();
    else loggerOf(now).info('the configuration is valid again');
  };

  /** One that was taken up by half is taken up whole by a service that is opened anew. */
  const applyOrReopen = async (running: Server, next: Config, diff: ConfigDiff): Promise<void> => {
    try {
      await running.apply(next, diff);
      inForce = next;
    } catch (error) {
      changed.resolve(undefined);
      throw error;
    }
  };

  const parsed = createParsedFiles();
  await using watch: ConfigWatch = await watchConfig({
    load: (readFs) =>
      loadConfig({ paths: options.config ?? [], env, cwd, readFs, parsed, meanwhile: loadAll }),
    onChange: take,
    onProgress: (error) => {
      server?.looked();
      if (error !== undefined && config !== undefined)
        loggerOf(config).error('a change of the configuration could not be taken', { error });
    },
  });
  if (watch.initial.kind === 'invalid') {
    tell(context, problemsText(watch.initial.problems, painter(context.color)));
    return EXIT.config;
  }
  config = watch.initial.config;
  const memory = createSpareMemory();
  memory.look();
  const looks = setInterval(() => memory.look(), MEMORY_MS);
  looks.unref();
  using closing = new DisposableStack();
  closing.defer(() => clearInterval(looks));
  context.onHangup?.(() => {
    void watch.reload();
    void server?.look();
  });
  const stopped = new Promise<undefined>((resolve) => {
    if (context.signal.aborted) resolve(undefined);
    context.signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });

  const { openServer } = await loadParts();
  while (!context.signal.aborted) {
    changed = Promise.withResolvers<AppError | undefined>();
    const logger = loggerOf(config);
    const print = (line: string) => context.stdout.write(`${line}\n`);
    const deps = depsOf(context, { logger, scrubber, print });
    const outdated = new AbortController();
    void changed.promise.then(() => outdated.abort(new AppError('INTERRUPTED')));
    const opening = config;
    try {
      server = await openServer(opening, {
        ...deps,
        before: inForce,
        version: VERSION,
        random: Math.random,
        configProblems: () => problems,
        signal: AbortSignal.any([context.signal, outdated.signal]),
        onOutdated: () => changed.resolve(undefined),
        onFatal: (error) => changed.resolve(error),
        onLarge: (bytes) => memory.spent(bytes),
      });
    } catch (error) {
      // Told to end while it waited for what it needs.
      if (context.signal.aborted) break;
      if (!outdated.signal.aborted) throw error;
      // What it waited for may stand otherwise in the files by now.
      const fatal = await changed.promise;
      if (fatal !== undefined) throw fatal;
      logger.info('the service opens anew with another configuration');
      continue;
    }
    inForce = opening;
    const fatal = await Promise.race([stopped, changed.promise]);
    if (context.signal.aborted || fatal !== undefined) logger.info('the service ends');
    else logger.info('the service opens anew with another configuration');
    const ending = server;
    server = undefined;
    await ending.close(options.graceMs);
    if (fatal !== undefined) throw fatal;
  }
  return EXIT.ok;
}
