import { isDeepStrictEqual } from 'node:util';
import type { App } from '../../app/app.ts';
import type { AppError } from '../../core/errors.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import type { HttpIntakes, Intake, Origin, SubmitHints } from '../../events/hint.ts';
import type { Loop, Loops } from '../../service/liveness/loops.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { IntakeHealth } from './intake-health.ts';
import { type PolledIntake, type PolledIntakeDeps, polledIntakesOf } from './polled-intakes.ts';
import { PostedIntakes } from './posted-intakes.ts';

export interface IntakesDeps extends PolledIntakeDeps {
  /** Passes an event to the running service as a hint that a key has changed. */
  readonly take: SubmitHints;
  readonly health: IntakeHealth;
  readonly loops: Pick<Loops, 'begin'>;
  readonly metrics: Pick<Metrics, 'event' | 'intakeUp' | 'intakeRemoved'>;
}

interface RunningIntake extends PolledIntake {
  readonly intake: Intake;
  readonly loop: Loop;
}

/**
 * An intake without progress for this time counts as stalled. The time covers a poll, the longest backoff, and a
 * margin.
 */
const DEADLINE_MS = 300_000;

/** Opens all configured event intakes. */
export async function openIntakes(app: App, deps: IntakesDeps): Promise<Intakes> {
  const intakes = new Intakes(app, deps);
  await intakes.refresh();
  return intakes;
}

/** Runs all configured event intakes. */
export class Intakes implements AsyncDisposable {
  /** The intakes that receive HTTP requests. */
  readonly posted: HttpIntakes;
  readonly #app: App;
  readonly #deps: IntakesDeps;
  readonly #posted: PostedIntakes;
  readonly #running = new Map<string, RunningIntake>();
  /** The kind of each intake, by name. */
  #kinds: ReadonlyMap<string, Origin['kind']> = new Map();
  /** Runs one update at a time, because concurrent updates could start an intake twice. */
  readonly #inTurn = createSerialExecutor();

  constructor(app: App, deps: IntakesDeps) {
    const { credential, health, metrics } = deps;
    this.#app = app;
    this.#deps = deps;
    const posted = new PostedIntakes({ clock: app.clock, credential, take: this.#take, health });
    this.#posted = posted;
    this.posted = {
      webhook: (name) => posted.webhook(name),
      eventGrid: (name) => posted.eventGrid(name),
      onRefused: ({ name }, outcome) => metrics.event(name, outcome),
    };
  }

  /** Applies the active configuration. Unchanged intakes keep running. */
  refresh(): Promise<void> {
    return this.#inTurn(() => this.#refresh());
  }

  /** Restarts the intakes of a store after its credentials have changed. */
  reset(store: string): Promise<void> {
    return this.#inTurn(async () => {
      for (const [name, intake] of this.#running) if (intake.store.name === store) await this.#stop(name);
      await this.#refresh();
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#inTurn(async () => {
      await Promise.all([...this.#running.keys()].map((name) => this.#stop(name)));
    });
  }

  async #refresh(): Promise<void> {
    const polled = polledIntakesOf(this.#app, this.#deps);
    const configured = new Map(polled.map((intake) => [intake.origin.name, intake]));
    for (const [name, intake] of this.#running)
      if (!isSame(intake, configured.get(name))) await this.#stop(name);
    for (const [name, intake] of configured) if (!this.#running.has(name)) this.#start(intake);
    this.#posted.refresh(this.#app.config);
    const origins = [...[...this.#running.values()].map(({ origin }) => origin), ...this.#posted.origins()];
    this.#removeMetrics(origins);
    this.#deps.health.keep(origins);
  }

  /** Removes the metrics of intakes that are no longer configured. */
  #removeMetrics(origins: readonly Origin[]): void {
    const before = this.#kinds;
    this.#kinds = new Map(origins.map(({ name, kind }) => [name, kind]));
    for (const [name, kind] of before)
      if (this.#kinds.get(name) !== kind) this.#deps.metrics.intakeRemoved(name);
  }

  #start(polled: PolledIntake): void {
    const { health, loops, metrics } = this.#deps;
    const { origin } = polled;
    const loop = loops.begin(`events ${origin.name}`, DEADLINE_MS);
    const logChange = this.#changeLogger(origin);
    const intake = polled.start({
      submit: this.#take,
      onProgress(failure) {
        loop.beat();
        metrics.intakeUp(origin.name, failure === undefined);
        health.attempted(origin, failure);
        logChange(failure?.withSubject(`events ${origin.name}`));
      },
      onSkipped(outcome) {
        if (outcome === 'ignored') health.received(origin);
        metrics.event(origin.name, outcome);
      },
    });
    this.#running.set(origin.name, { ...polled, intake, loop });
  }

  async #stop(name: string): Promise<void> {
    const stopping = this.#running.get(name);
    this.#running.delete(name);
    stopping?.loop.end();
    await stopping?.intake[Symbol.asyncDispose]();
  }

  /** Returns a function that logs a failure when it starts, when its error code changes, and when it ends. */
  #changeLogger({ name, kind }: Origin): (error: AppError | undefined) => void {
    const { logger } = this.#app;
    let before: string | undefined;
    return (error) => {
      if (error !== undefined && error.code !== before)
        logger.warn('events cannot be fetched; retrying', { name, kind, error });
      if (error === undefined && before !== undefined)
        logger.info('events are fetched again', { name, kind });
      before = error?.code;
    };
  }

  readonly #take: SubmitHints = (hints, origin, requestId) => {
    const { health, metrics, take } = this.#deps;
    health.received(origin);
    const taken = take(hints, origin, requestId);
    const knownHints = hints.length - taken.unknown;
    if (knownHints > 0) metrics.event(origin.name, 'taken', knownHints);
    if (taken.unknown > 0) metrics.event(origin.name, 'unknown', taken.unknown);
    if (hints.length === 0) metrics.event(origin.name, 'ignored');
    return taken;
  };
}

function isSame(running: PolledIntake, configured: PolledIntake | undefined): boolean {
  return isDeepStrictEqual(
    [running.entry, running.store, running.origin],
    [configured?.entry, configured?.store, configured?.origin],
  );
}
