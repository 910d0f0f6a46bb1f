import { randomUUID } from 'node:crypto';
import { createHealthTracker, type HealthTracker } from '../health.ts';
import type { QueueHealth } from '../queue.ts';
import { type Timers, within } from '../timers.ts';
import { COMMAND_MS, type RedisClients } from './clients.ts';
import {
  EMPTIED,
  EVICTS,
  failureOf,
  healthOf,
  isSeenOnlyInUse,
  isUnspecific,
  LOST,
  PAUSED,
  type RedisFailure,
  replyFailureOf,
  SILENT,
} from './errors.ts';

export interface RedisHealth extends Pick<HealthTracker, 'get' | 'onChange'> {
  /** Updates the health after an error of any connection. */
  reportError(thrown: unknown): void;
  close(): void;
}

const PROBE_MS = 3_000;
/** A failure that probes cannot detect is reported for this long, even if probes succeed. */
const HOLD_MS = 15_000;
/** The eviction policy changes rarely, so only every 20th probe reads it. */
const PROBES_PER_POLICY = 20;

export interface HealthKeys {
  /** A key that only this check writes. */
  readonly epoch: string;
  /** BullMQ's key for the settings of the whole queue. */
  readonly meta: string;
}

/**
 * Checks every few seconds with a small write whether jobs can be added and processed. The state of the connection does
 * not reveal that Redis is full, frozen or a replica. The written key keeps its value as long as Redis keeps its data,
 * so another value reveals data loss.
 */
export function watchHealth(
  { quick, subscriber }: Pick<RedisClients, 'quick' | 'subscriber'>,
  { epoch: key, meta }: HealthKeys,
  timers: Timers,
): RedisHealth {
  const tracker = createHealthTracker(healthOf({ state: 'down', detail: 'not connected yet' }));
  let epoch: string | undefined;
  let heldSince = Number.NEGATIVE_INFINITY;
  let probes = 0;
  let evicts = false;
  let closed = false;
  let probing = false;
  let cancelTimer = (): void => {};

  const setFailure = (failure: RedisFailure, cause: unknown): void => {
    if (closed) return;
    if (isSeenOnlyInUse(failure)) heldSince = timers.now();
    tracker.set(healthOf(failure, cause));
  };

  const reportError = (thrown: unknown): void => {
    const refusal = replyFailureOf(thrown);
    if (refusal !== undefined) setFailure(refusal, thrown);
    // Jobs are added over the `quick` connection, so ignore errors of other connections while it is ready.
    else if (quick.status !== 'ready') {
      const failure = failureOf(thrown);
      // Keep an error that shows the operator what to fix. A missing connection is less specific.
      const { state, error } = tracker.get();
      const isMisconfigured = state === 'down' && error?.code === 'QUEUE_MISCONFIGURED';
      if (!(isMisconfigured && isUnspecific(failure))) setFailure(failure, thrown);
    }
  };

  /** Returns the stored epoch, or stores a new one. A new value means that Redis lost its data. */
  const readEpoch = async (): Promise<string> => {
    const newEpoch = randomUUID();
    const reply = await quick.set(key, newEpoch, 'NX');
    return reply === 'OK' ? newEpoch : ((await quick.get(key)) ?? newEpoch);
  };

  const probe = async (): Promise<void> => {
    // Later adds use the same connection, so they reach Redis after the epoch is read.
    const asOf = timers.now();
    const currentEpoch = await readEpoch();
    if (probes % PROBES_PER_POLICY === 0) evicts = await mayEvict(quick);
    probes += 1;
    // An admin tool may have paused the queue. Redis then still accepts jobs, but no worker receives them.
    const isPaused = (await quick.hexists(meta, 'paused')) === 1;
    if (closed) return;
    if (epoch !== undefined && epoch !== currentEpoch) tracker.set(healthOf(EMPTIED));
    epoch = currentEpoch;
    // Compare the absolute difference, so that a clock set back does not extend the failure for hours.
    if (Math.abs(timers.now() - heldSince) < HOLD_MS) return;
    const health: QueueHealth = isPaused ? healthOf(PAUSED) : evicts ? healthOf(EVICTS) : { state: 'up' };
    tracker.set({ ...health, asOf });
  };

  const runProbe = async (): Promise<void> => {
    if (probing || closed) return;
    probing = true;
    cancelTimer();
    try {
      if (quick.status === 'ready') await probe();
    } catch (thrown) {
      const failure = failureOf(thrown);
      setFailure(failure, thrown);
      // A connection without replies may be half open, so replace it.
      if (failure === SILENT) quick.disconnect(true);
    } finally {
      probing = false;
      if (!closed) cancelTimer = timers.wake(() => void runProbe(), PROBE_MS);
    }
    await checkSubscriber();
  };

  const checkSubscriber = async (): Promise<void> => {
    if (subscriber.status !== 'ready') return;
    const answer = await within(subscriber.ping().catch(failureOf), 2 * COMMAND_MS, timers);
    if (answer === undefined && !closed) subscriber.disconnect(true);
  };

  quick.on('ready', () => {
    probes = 0;
    void runProbe();
  });
  // If an error ended the connection, keep it, because it is more specific.
  quick.on('close', () => {
    if (!closed && tracker.get().state !== 'down') tracker.set(healthOf(LOST));
  });
  cancelTimer = timers.wake(() => void runProbe(), PROBE_MS);

  return {
    get: tracker.get,
    onChange: tracker.onChange,
    reportError,
    close() {
      closed = true;
      cancelTimer();
    },
  };
}

async function mayEvict(client: RedisClients['quick']): Promise<boolean> {
  // Few ACLs grant `INFO`, but BullMQ needs it anyway.
  const info = await client.info('memory');
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  return policy !== undefined && policy !== 'noeviction';
}
