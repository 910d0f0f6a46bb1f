import { isDeepStrictEqual } from 'node:util';
import type { App } from '../../app/app.ts';
import type { Config } from '../../config/config.ts';
import type { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import type { HttpIntakes, Intake, IntakeDeps, Origin, SubmitHints } from '../../events/hint.ts';
import { startSqsIntake } from '../../events/sqs.ts';
import { startVaultIntake } from '../../events/vault.ts';
import type { Reference } from '../../providers/credentials.ts';
import { createStorePolicy } from '../../providers/policy.ts';
import type { ProviderDeps } from '../../providers/provider.ts';
import type { Loop, Loops } from '../../service/liveness/loops.ts';
import type { IntakeStatus } from '../../service/service.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { createIntakeHealth } from './intake-health.ts';
import { createPostedIntakes } from './posted-intakes.ts';

export interface IntakesDeps {
  /** Passes an event to the running service as a hint that a key has changed. */
  readonly take: SubmitHints;
  readonly loops: Pick<Loops, 'begin'>;
  readonly metrics: Pick<Metrics, 'event' | 'intakeUp' | 'intakeRemoved'>;
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly random: () => number;
}

/** Runs all configured event intakes. */
export interface Intakes extends AsyncDisposable {
  /** The intakes that receive HTTP requests. */
  readonly posted: HttpIntakes;
  /** Applies the active configuration. Unchanged intakes keep running. */
  refresh(): Promise<void>;
  /** Restarts the intakes of a store after its credentials have changed. */
  reset(store: string): Promise<void>;
  /** Returns the state of each intake, for `status`. */
  states(): readonly IntakeStatus[];
}

type StoreConfig = Config['stores'][number];
type Entry<Kind extends 'sqs' | 'vault'> = NonNullable<Config['events']>[Kind][number];

/** A polling or subscribing intake and its configuration. */
interface PolledIntake {
  readonly origin: Origin;
  readonly store: StoreConfig;
  readonly entry: object;
  readonly start: (deps: IntakeDeps) => Intake;
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
/** Limits for the requests of one intake. A poll waits for twenty seconds. */
const REQUEST_LIMITS = { requestsPerSecond: 50, concurrency: 4, timeoutMs: 30_000 };

export async function openIntakes(app: App, deps: IntakesDeps): Promise<Intakes> {
  const { logger, clock } = app;
  const { metrics, credential, random } = deps;
  const running = new Map<string, RunningIntake>();
  let kinds: ReadonlyMap<string, Origin['kind']> = new Map();

  const health = createIntakeHealth(clock);
  const take: SubmitHints = (hints, origin, requestId) => {
    health.received(origin);
    const taken = deps.take(hints, origin, requestId);
    const knownHints = hints.length - taken.unknown;
    if (knownHints > 0) metrics.event(origin.name, 'taken', knownHints);
    if (taken.unknown > 0) metrics.event(origin.name, 'unknown', taken.unknown);
    if (hints.length === 0) metrics.event(origin.name, 'ignored');
    return taken;
  };
  const posted = createPostedIntakes({ clock, credential, take, health });
  const providerDeps = (store: StoreConfig): ProviderDeps => ({
    name: store.name,
    clock,
    fingerprints: app.fingerprints,
    credential,
    limit: createStorePolicy({ limits: REQUEST_LIMITS }).limit,
  });

  const start = (polled: PolledIntake): void => {
    const { name, kind } = polled.origin;
    const loop = deps.loops.begin(`events ${name}`, DEADLINE_MS);
    let before: string | undefined;
    const onProgress = (failure?: AppError): void => {
      loop.beat();
      metrics.intakeUp(name, failure === undefined);
      health.attempted(polled.origin, failure);
      const error = failure?.withSubject(`events ${name}`);
      if (error !== undefined && error.code !== before)
        logger.warn('events cannot be fetched; retrying', { name, kind, error });
      if (error === undefined && before !== undefined)
        logger.info('events are fetched again', { name, kind });
      before = error?.code;
    };
    const onOther: IntakeDeps['onSkipped'] = (outcome) => {
      if (outcome === 'ignored') health.received(polled.origin);
      metrics.event(name, outcome);
    };
    const intake = polled.start({ submit: take, onProgress, onSkipped: onOther });
    running.set(name, { ...polled, intake, loop });
  };
  const stop = async (name: string): Promise<void> => {
    const stopping = running.get(name);
    running.delete(name);
    stopping?.loop.end();
    await stopping?.intake[Symbol.asyncDispose]();
  };

  const sqsIntake = (entry: Entry<'sqs'>, store: StoreConfig): PolledIntake | undefined => {
    if (store.kind !== 'aws-secrets-manager') return undefined;
    const { name, queueUrl } = entry;
    const open = async () => {
      const { openMessageQueue } = await import('../../providers/aws-secrets-manager/queue.ts');
      return openMessageQueue(store, queueUrl, providerDeps(store));
    };
    const options = { name, store: store.name, region: store.region, open, logger, random };
    return {
      origin: { kind: 'sqs', name },
      store,
      entry,
      start: (intakeDeps) => startSqsIntake(options, intakeDeps),
    };
  };
  const vaultIntake = (entry: Entry<'vault'>, store: StoreConfig): PolledIntake => {
    const { name } = entry;
    const options = { name, store: store.name, open: () => app.stores.open(store.name), random };
    return {
      origin: { kind: 'vault', name },
      store,
      entry,
      start: (intakeDeps) => startVaultIntake(options, intakeDeps),
    };
  };
  const polledIntakesOf = ({ events, stores }: Config): readonly PolledIntake[] => {
    // The configuration is valid, so the store exists and has the right kind.
    const withStore = <It extends { readonly store: string }, Made>(
      entries: readonly It[] = [],
      make: (entry: It, store: StoreConfig) => Made | undefined,
    ): readonly Made[] =>
      entries.flatMap((entry) => {
        const store = stores.find(({ name }) => name === entry.store);
        return (store && make(entry, store)) ?? [];
      });
    return [...withStore(events?.sqs, sqsIntake), ...withStore(events?.vault, vaultIntake)];
  };

  const refresh = async (): Promise<void> => {
    const configured = new Map(polledIntakesOf(app.config).map((polled) => [polled.origin.name, polled]));
    for (const [name, intake] of running) {
      const next = configured.get(name);
      const isSame = isDeepStrictEqual(
        [intake.entry, intake.store, intake.origin],
        [next?.entry, next?.store, next?.origin],
      );
      if (!isSame) await stop(name);
    }
    for (const [name, polled] of configured) if (!running.has(name)) start(polled);
    posted.refresh(app.config);
    const origins = [...[...running.values()].map(({ origin }) => origin), ...posted.origins()];
    const now = new Map(origins.map(({ name, kind }) => [name, kind]));
    for (const [name, kind] of kinds) if (now.get(name) !== kind) metrics.intakeRemoved(name);
    kinds = now;
    health.keep(origins);
  };
  // One update at a time: concurrent updates could start an intake twice.
  const inTurn = createSerialExecutor();

  await refresh();
  return {
    posted: {
      webhook: posted.webhook,
      eventGrid: posted.eventGrid,
      onRefused: ({ name }, outcome) => metrics.event(name, outcome),
    },
    states: health.states,
    refresh: () => inTurn(refresh),
    reset: (store) =>
      inTurn(async () => {
        for (const [name, intake] of running) if (intake.store.name === store) await stop(name);
        await refresh();
      }),
    [Symbol.asyncDispose]: () =>
      inTurn(async () => {
        await Promise.all([...running.keys()].map(stop));
      }),
  };
}
