import type { App } from '../../app/app.ts';
import { STATUS_PREFIX } from '../../cluster/config-map-annotations.ts';
import type { AnnotatedConfigMap, ConfigMapAnnotations, ConfigMapPlace } from '../../cluster/team-ports.ts';
import type { Config, IncludeState } from '../../config/config.ts';
import { parseShown, shownPath } from '../../config/files/config-maps.ts';
import { formatPlace } from '../../config/problem.ts';
import { toAppError } from '../../core/errors.ts';
import { mapConcurrently } from '../../core/semaphore.ts';
import { createCoalescer } from '../../core/serial-executor.ts';
import { compareText, instancesOf } from '../../core/target.ts';
import { startBackgroundTimer, type Timers } from '../../core/timer.ts';
import {
  type ConfigMapStatus,
  invalidStatus,
  isSettled,
  observedText,
  statusOfTargets,
} from '../../service/config-map-status.ts';
import type { Controller } from '../../service/controller.ts';
import type { Service, TargetStatus } from '../../service/service.ts';
import type { Logger } from '../../telemetry/logger.ts';

type StatusConfig = Pick<Config, 'instance' | 'formerInstances' | 'includes' | 'configMapOf' | 'withStatus'>;

export interface TeamStatusDeps {
  readonly annotations: ConfigMapAnnotations;
  readonly config: () => StatusConfig;
  readonly targets: () => readonly TargetStatus[];
  /** Whether the status of a target describes its present mapping. */
  readonly isSettled: (target: TargetStatus) => boolean;
  readonly timers: Timers;
  readonly logger: Pick<Logger, 'warn'>;
}

/** Changes within this time are written together. */
const DELAY_MS = 1_000;
/** A target becomes stale without a run, so the states are compared in this interval too. */
const INTERVAL_MS = 30_000;
/** Only a wait that is longer is written. Until then, the annotations describe other mappings, or do not exist. */
const WAIT_MS = 90_000;
/** Pauses between writes to one ConfigMap. They grow while somebody else changes the annotations back. */
const MIN_PAUSE_MS = 2_000;
const MAX_PAUSE_MS = 10 * 60_000;
/** After a failure, nothing is written for this time. */
const FAILURE_PAUSE_MS = 60_000;
const CONCURRENCY = 4;

interface Known {
  /** The annotations that the ConfigMap has, as JSON. */
  readonly text: string;
  readonly pauseMs: number;
  readonly notBefore: number;
}

/** Returns undefined if the cluster has no ConfigMaps. */
export function openTeamStatus(app: App, controller: Controller, service: Service): TeamStatus | undefined {
  const { configMapAnnotations: annotations } = app.cluster;
  if (annotations === undefined) return undefined;
  const status = new TeamStatus({
    annotations,
    config: () => app.config,
    targets: () => service.mappings().flatMap(({ targets }) => targets),
    isSettled(target) {
      const snapshot = controller.snapshot();
      const desired = snapshot.forTarget(target).find(({ mapping }) => mapping.name === target.mapping);
      return desired !== undefined && isSettled(desired, snapshot, controller.states);
    },
    timers: { now: () => app.clock.now(), wake: startBackgroundTimer },
    logger: app.logger,
  });
  status.use(controller.states.onChange(() => status.changed()));
  return status;
}

/**
 * Writes to the annotations of each ConfigMap what became of its mappings, where `statusAnnotation` is set. Health checks
 * of GitOps tools read them. Replicas write the same, and write only what a ConfigMap does not have yet.
 */
export class TeamStatus implements AsyncDisposable {
  readonly #deps: TeamStatusDeps;
  readonly #owned = new DisposableStack();
  #texts = new Map<string, string>();
  /** By the path of the ConfigMap. */
  readonly #known = new Map<string, Known>();
  /** The paths of ConfigMaps that have changed since they were read. */
  readonly #changedMaps = new Set<string>();
  readonly #waitingSince = new Map<string, number>();
  #next: { readonly at: number; readonly cancel: () => void } | undefined;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(deps: TeamStatusDeps) {
    this.#deps = deps;
  }

  /** Calls the function when the service ends. */
  use(onClose: () => void): void {
    this.#owned.defer(onClose);
  }

  /** Follows these ConfigMaps. Called when their mappings are in force. */
  follow({ withStatus = new Map() }: Pick<Config, 'withStatus'>): void {
    for (const paths of [this.#known, this.#changedMaps, this.#waitingSince])
      for (const path of paths.keys()) if (!withStatus.has(path)) paths.delete(path);
    this.#texts = new Map(withStatus);
    this.changed();
  }

  /** Called when the state of a target may have changed. */
  changed(): void {
    if (this.#texts.size > 0) this.#wake(DELAY_MS);
  }

  /** Called when a ConfigMap has changed, also by our own write. */
  configMapChanged(place: ConfigMapPlace): void {
    const path = shownPath(place);
    if (!this.#texts.has(path)) return;
    this.#changedMaps.add(path);
    this.changed();
  }

  /** Removes the annotations of a ConfigMap whose mappings have ended. */
  async lostLabels(place: ConfigMapPlace): Promise<void> {
    this.#texts.delete(shownPath(place));
    try {
      const read = await this.#deps.annotations.read(place);
      const isAnnotated = read !== undefined && read.annotations[INSTANCE] !== undefined;
      if (isAnnotated && this.#isOwned(read)) await this.#deps.annotations.write(read, {});
    } catch (error) {
      this.#failed(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#next?.cancel();
    this.#owned.dispose();
    await this.#round();
  }

  #wake(ms: number): void {
    const at = this.#deps.timers.now() + ms;
    if (this.#isClosed || (this.#next !== undefined && this.#next.at <= at)) return;
    this.#next?.cancel();
    this.#next = { at, cancel: this.#deps.timers.wake(() => void this.#round(), ms) };
  }

  readonly #round = createCoalescer(async (): Promise<void> => {
    this.#next?.cancel();
    this.#next = undefined;
    if (this.#isClosed || this.#texts.size === 0) return;
    const now = this.#deps.timers.now();
    if (now < this.#pausedUntil) return this.#wake(this.#pausedUntil - now);
    const outdated = this.#outdated(now);
    const later = outdated.filter(({ path }) => (this.#known.get(path)?.notBefore ?? 0) > now);
    const due = outdated.filter((entry) => !later.includes(entry));
    await mapConcurrently(due, CONCURRENCY, ({ path, annotations }) => this.#write(path, annotations));
    this.#wake(later.length > 0 ? MIN_PAUSE_MS : INTERVAL_MS);
  });

  /** Returns the ConfigMaps that may not have their annotations yet. */
  #outdated(now: number) {
    const { configMapOf } = this.#deps.config();
    const targets = Map.groupBy(this.#deps.targets(), ({ mapping }) => configMapOf?.get(mapping) ?? '');
    const includes = new Map(this.#deps.config().includes.map((include) => [include.path, include]));
    return [...this.#texts].flatMap(([path, text]) => {
      const status = this.#statusOf(path, includes.get(path), targets.get(path) ?? [], now);
      if (status === undefined) return [];
      const annotations = this.#annotationsOf(status, text);
      const isKnown = this.#known.get(path)?.text === textOf(annotations);
      return isKnown && !this.#changedMaps.has(path) ? [] : [{ path, annotations }];
    });
  }

  /** Returns undefined while the targets wait for the run after a change of their mapping. */
  #statusOf(
    path: string,
    include: IncludeState | undefined,
    targets: readonly TargetStatus[],
    now: number,
  ): ConfigMapStatus | undefined {
    if (include === undefined) return undefined;
    if (include.state !== 'valid') {
      const [first] = include.problems;
      return first === undefined
        ? undefined
        : invalidStatus(first.code, `${formatPlace(first)} ${first.message}`);
    }
    const unsettled = targets.filter((target) => !this.#deps.isSettled(target));
    if (unsettled.length === 0) {
      this.#waitingSince.delete(path);
      return statusOfTargets(targets);
    }
    const since = this.#waitingSince.get(path) ?? now;
    this.#waitingSince.set(path, since);
    if (now - since < WAIT_MS) return undefined;
    return statusOfTargets(
      targets.map(
        (target): TargetStatus => (unsettled.includes(target) ? { ...target, state: 'waiting' } : target),
      ),
    );
  }

  #annotationsOf({ state, code, message }: ConfigMapStatus, text: string): Readonly<Record<string, string>> {
    return {
      [`${STATUS_PREFIX}state`]: state,
      ...(code === undefined ? {} : { [`${STATUS_PREFIX}code`]: code }),
      [`${STATUS_PREFIX}message`]: message,
      [`${STATUS_PREFIX}observed`]: observedText(text),
      [INSTANCE]: this.#deps.config().instance,
    };
  }

  async #write(path: string, annotations: Readonly<Record<string, string>>): Promise<void> {
    const place = parseShown(path);
    if (place === undefined) return;
    const text = textOf(annotations);
    this.#changedMaps.delete(path);
    try {
      const read = await this.#deps.annotations.read(place);
      const known = this.#known.get(path);
      if (read === undefined || !this.#isOwned(read)) return this.#leave(path, text, read);
      if (textOf(read.annotations) === text)
        return void this.#known.set(path, { ...NO_PAUSE, ...known, text });
      if (!(await this.#deps.annotations.write(read, annotations))) return;
      const now = this.#deps.timers.now();
      // Only a text that somebody else has replaced is written twice in a row.
      const isRepeated = known?.text === text && now < known.notBefore + MAX_PAUSE_MS;
      const pauseMs = isRepeated ? Math.min(MAX_PAUSE_MS, known.pauseMs * 2) : MIN_PAUSE_MS;
      this.#known.set(path, { text, pauseMs, notBefore: now + pauseMs });
    } catch (error) {
      this.#changedMaps.add(path);
      this.#failed(error);
    }
  }

  /** Two instances may select one ConfigMap. The annotations are those of the first one. */
  #isOwned({ annotations }: AnnotatedConfigMap): boolean {
    const owner = annotations[INSTANCE];
    return owner === undefined || instancesOf(this.#deps.config()).includes(owner);
  }

  #leave(path: string, text: string, read: AnnotatedConfigMap | undefined): void {
    const isNew = this.#known.get(path)?.text !== text;
    this.#known.set(path, { ...NO_PAUSE, text });
    if (read !== undefined && isNew)
      this.#deps.logger.warn('the annotations of a ConfigMap belong to another instance', { name: path });
  }

  #failed(thrown: unknown): void {
    const now = this.#deps.timers.now();
    const error = toAppError(thrown);
    if (now >= this.#pausedUntil)
      this.#deps.logger.warn('the status of ConfigMaps could not be written', { error });
    this.#pausedUntil = now + FAILURE_PAUSE_MS;
  }
}

const INSTANCE = `${STATUS_PREFIX}instance`;
const NO_PAUSE = { pauseMs: MIN_PAUSE_MS, notBefore: 0 };

function textOf(annotations: Readonly<Record<string, string>>): string {
  return JSON.stringify(Object.entries(annotations).sort(([one], [other]) => compareText(one, other)));
}
