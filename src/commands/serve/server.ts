import type { App } from '../../app/app.ts';
import { replacedStores } from '../../app/stores.ts';
import { brokenIncludes, type Config, type IncludeState } from '../../config/config.ts';
import { type ConfigDiff, diffConfig } from '../../config/diff.ts';
import type { Problem } from '../../config/problem.ts';
import type { CredentialWatch } from '../../config/watch/credentials.ts';
import { AppError } from '../../core/errors.ts';
import type { Queue } from '../../queue/queue.ts';
import { storesOfMappings } from '../../service/config-snapshot.ts';
import type { Controller } from '../../service/controller.ts';
import { type Loop, watchStalls } from '../../service/liveness/loops.ts';
import type { Service } from '../../service/service.ts';
import { configurationFacts } from '../configuration-facts.ts';
import { includeError } from '../includes.ts';
import { keepConfiguration, lastConfiguration } from '../last-configuration.ts';
import {
  type ConfigurationRecords,
  createConfigurationRecords,
  describeDiff,
  describeStart,
} from './configuration-records.ts';
import type { HttpFrontend } from './http-frontend.ts';
import type { Intakes } from './intakes.ts';
import type { Presence } from './presence.ts';
import type { TeamEvents } from './team-events.ts';
import type { TeamStatus } from './team-status.ts';

/** The parts of the running service, in the order in which they were opened. */
export interface ServerParts extends AsyncDisposable {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly app: App;
  readonly queue: Queue;
  readonly presence: Presence;
  readonly service: Service;
  readonly controller: Controller;
  readonly intakes: Intakes;
  readonly credentials: CredentialWatch;
  /** Undefined if the cluster has no events. */
  readonly teamEvents: TeamEvents | undefined;
  /** Undefined if the cluster has no ConfigMaps. */
  readonly teamStatus: TeamStatus | undefined;
}

/** The check of the configuration files counts as stalled after this time. The files are checked every few seconds. */
const CONFIGURATION_MS = 60_000;
const HTTP_GRACE_MS = 5_000;
const TRACES_GRACE_MS = 3_000;
/** Each step of the shutdown gets at least this time. */
const MIN_GRACE_MS = 500;

/** The running service. */
export class Server {
  readonly #parts: ServerParts;
  readonly #frontend: HttpFrontend;
  readonly #owned: AsyncDisposable;
  readonly #records: ConfigurationRecords;
  readonly #configurationLoop: Loop;
  readonly #stalls: Disposable;

  /** @param owned Everything that must be closed after the last work has ended. */
  constructor(parts: ServerParts, frontend: HttpFrontend, owned: AsyncDisposable) {
    const { app, controller } = parts;
    this.#parts = parts;
    this.#frontend = frontend;
    this.#owned = owned;
    this.#records = createConfigurationRecords(parts);
    this.#configurationLoop = controller.loops.begin('configuration', CONFIGURATION_MS);
    this.#stalls = watchStalls(controller.loops, app);
  }

  /** Records the start. @param previous The configuration that this process used last, if any. */
  async started(previous: Config | undefined): Promise<void> {
    const { app, env } = this.#parts;
    const note = describeStart(app.config, previous && diffConfig(previous, app.config));
    const last = previous === undefined ? await lastConfiguration(app) : undefined;
    await this.#records.configured(note, configurationFacts(app.config, env, previous ?? last?.texts));
    if (last?.isKept !== true) await keepConfiguration(app, previous);
    app.logger.info('the service is running', { address: this.#frontend.url, count: app.targets.length });
    await this.#reportIncludes(previous?.includes ?? []);
    this.followStatus(app.config);
  }

  /** Applies a new configuration. Sections in `diff.restart` need a new server. */
  async apply(next: Config, diff: ConfigDiff): Promise<void> {
    const { app, controller, intakes, presence, env } = this.#parts;
    const before = app.config;
    const replaced = replacedStores(app.config.stores, next.stores);
    const isReplaced = (store: string) => replaced.has(store);
    const users =
      replaced.size === 0
        ? []
        : next.mappings.filter((mapping) => storesOfMappings([mapping]).some(isReplaced));
    const { added, changed, removed } = diff.mappings;
    const mappings = new Set([...added, ...changed, ...users.map(({ name }) => name)]);
    const all = diff.access || diff.approvals || diff.windows;
    const isAddition = changed.length + removed.length === 0 && onlyAddsIncludes(before, next) && !all;
    await controller.applyConfigChange({ mappings, all, isAddition }, async () => {
      await app.reconfigure(next);
      // Announce the new configuration before any replica looks for orphans.
      presence.announce();
    });
    for (const store of [...diff.stores.added, ...diff.stores.changed]) controller.storeRecovered(store);
    await intakes.refresh();
    await this.#records.configured(describeDiff(diff), configurationFacts(next, env, before));
    await keepConfiguration(app, before);
    app.logger.info('the new configuration is active', { count: app.targets.length });
    await this.#reportIncludes(before.includes);
    this.followStatus(next);
  }

  /** Writes the status of these ConfigMaps from now on. */
  followStatus(config: Pick<Config, 'withStatus'>): void {
    this.#parts.teamStatus?.follow(config);
  }

  /** Called for each change of a ConfigMap, also if its mappings are the same. */
  configMapSeen(place: { readonly namespace: string; readonly name: string }): void {
    this.#parts.teamStatus?.configMapChanged(place);
  }

  /** Reports the included files that are broken now and were not broken in the same way before. */
  async #reportIncludes(before: Config['includes']): Promise<void> {
    const { config, logger } = this.#parts.app;
    const known = new Map(before.map((include) => [include.path, include]));
    const broken = brokenIncludes(config).filter(({ path, state, problems }) => {
      const last = known.get(path);
      return last?.state !== state || last.problems.length !== problems.length;
    });
    // If ConfigMaps cannot be listed, all of them have the same problem.
    for (const include of broken) this.#parts.teamEvents?.changed(include);
    for (const include of config.includes)
      if (include.state === 'valid' && (known.get(include.path)?.state ?? 'valid') !== 'valid')
        this.#parts.teamEvents?.changed(include);
    for (const [first, ...others] of Map.groupBy(broken, reasonOf).values()) {
      if (first === undefined) continue;
      const { path, state, problems } = first;
      const more = others.length === 0 ? '' : ` and ${others.length} more`;
      logger.error('an included file is invalid; the other files are not affected', {
        ...{ name: path + more, state, count: problems.length },
        error: includeError(first),
      });
      await this.#records.refused(problems.length, `include ${path}${more}: ${state}`);
    }
  }

  /** Reports that the mappings of a ConfigMap end, because it no longer has the labels. */
  configMapLostLabels(place: { readonly namespace: string; readonly name: string }): void {
    this.#parts.teamEvents?.lostLabels(place);
    void this.#parts.teamStatus?.lostLabels(place);
  }

  /** Reports that the configuration files were checked, whether or not the check succeeded. */
  configurationChecked(): void {
    const { logger } = this.#parts.app;
    this.#configurationLoop.beat();
    void this.#records
      .flush()
      .catch((error: unknown) => logger.error('a configuration change could not be recorded', { error }));
  }

  /** Reports that the files contain an invalid configuration, which is not applied. */
  async refused(problems: readonly Problem[]): Promise<void> {
    this.#parts.app.logger.error('the configuration is invalid; the last valid one stays active', {
      count: problems.length,
      error: new AppError('CONFIG_INVALID'),
    });
    await this.#records.refused(problems.length);
  }

  /** Reports that the files contain the active configuration again, after an invalid one. */
  async validAgain(): Promise<void> {
    this.#parts.app.logger.info('the configuration is valid again');
    const { app, env } = this.#parts;
    await this.#records.configured('valid again', configurationFacts(app.config, env));
  }

  /** Checks immediately whether credentials have changed. Called on SIGHUP. */
  async checkCredentials(): Promise<void> {
    await this.#parts.credentials.check();
  }

  /** Stops accepting work, finishes running writes, and flushes the audit log. Never hangs. */
  async close(graceMs: number): Promise<void> {
    const { app, queue, controller, intakes, presence, credentials } = this.#parts;
    queue.stop();
    const started = app.clock.now();
    const remainingMs = () => Math.max(MIN_GRACE_MS, graceMs - (app.clock.now() - started));
    // Announce the end of this replica while the queue still works.
    presence[Symbol.dispose]();
    this.#stalls[Symbol.dispose]();
    const closing = [
      this.#frontend.close(Math.min(HTTP_GRACE_MS, remainingMs())),
      credentials[Symbol.asyncDispose](),
    ];
    await intakes[Symbol.asyncDispose]();
    await controller.close(remainingMs());
    await Promise.all(closing);
    await app.tracing.flush(Math.min(TRACES_GRACE_MS, remainingMs()));
    await this.#owned[Symbol.asyncDispose]();
  }
}

function reasonOf({ state, problems }: IncludeState): string {
  return JSON.stringify([state, problems]);
}

/** Whether the only new included files are valid, and all others are as before. Then no target can be orphaned. */
function onlyAddsIncludes(before: Config, next: Config): boolean {
  const states = new Map(next.includes.map(({ path, state }) => [path, state]));
  const known = new Set(before.includes.map(({ path }) => path));
  return (
    before.includes.every(({ path, state }) => states.get(path) === state) &&
    next.includes.every(({ path, state }) => known.has(path) || state === 'valid')
  );
}
