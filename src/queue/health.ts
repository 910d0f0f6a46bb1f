import { randomUUID } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import type { Timers } from '../core/timer.ts';
import type { RedisServer } from './connect-redis.ts';
import type { QueueHealth } from './queue.ts';
import { EVICTS, failureOf, type QueueFailure, replyFailureOf } from './redis-errors.ts';

const PROBE_MS = 3_000;
/** The eviction policy changes rarely, so only every 20th probe reads it. */
const PROBES_PER_POLICY = 20;
/** A failure that probes cannot detect is reported for this long, even if probes succeed. */
const HOLD_MS = 15_000;
const PAUSED: QueueFailure = {
  state: 'down',
  detail: 'the queue is paused: resume it with the tool that paused it',
  needsOperator: true,
};

interface ProbeResult {
  /** An id that changes when Redis has lost its data. */
  readonly dataId: string;
  /** A failure that does not stop the queue. */
  readonly warning?: QueueFailure | undefined;
}

/**
 * Checks every few seconds whether jobs can be added and processed. The state of the connection does not reveal that
 * Redis is full, frozen, read-only or emptied.
 */
export class HealthWatch {
  readonly #server: RedisServer;
  readonly #probeRedis: () => Promise<ProbeResult>;
  readonly #isPaused: () => Promise<boolean>;
  readonly #timers: Timers;
  readonly #listeners = new Set<(health: QueueHealth) => void>();
  #health = healthOf({ state: 'down', detail: 'not connected yet' });
  #dataId: string | undefined;
  #heldSince = Number.NEGATIVE_INFINITY;
  #closed = false;
  #probing = false;
  #cancelTimer: () => void;

  /** @param isPaused Whether an admin tool has paused the queue. Jobs can then be added, but no worker receives them. */
  constructor(server: RedisServer, isPaused: () => Promise<boolean>, timers: Timers) {
    this.#server = server;
    this.#probeRedis = createProbe(server);
    this.#isPaused = isPaused;
    this.#timers = timers;
    server.onError((thrown) => this.#handleError(thrown));
    server.onReady(() => void this.#runProbe());
    server.onClose(() => this.#handleClose());
    this.#cancelTimer = timers.wake(() => void this.#runProbe(), PROBE_MS);
  }

  get(): QueueHealth {
    return this.#health;
  }

  onChange(listener: (health: QueueHealth) => void): () => void {
    const own = (health: QueueHealth): void => listener(health);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  close(): void {
    this.#closed = true;
    this.#cancelTimer();
  }

  /** Notifies the listeners if the state or the error changed. */
  #set(next: QueueHealth): void {
    const { state, error } = this.#health;
    this.#health = next;
    if (next.state === state && next.error?.message === error?.message) return;
    for (const listener of [...this.#listeners]) listener(next);
  }

  #setFailure(failure: QueueFailure, cause?: unknown): void {
    if (this.#closed) return;
    if (failure.isSeenOnlyInUse) this.#heldSince = this.#timers.now();
    this.#set(healthOf(failure, cause));
  }

  /** Updates the health after an error of any connection. */
  #handleError(thrown: unknown): void {
    const refusal = replyFailureOf(thrown);
    if (refusal !== undefined) this.#setFailure(refusal, thrown);
    // Jobs are added over the connection that probes use, so ignore errors of other connections while it is ready.
    if (refusal !== undefined || this.#server.isReady()) return;
    const failure = failureOf(thrown);
    // Keep an error that shows the operator what to fix. A missing connection is less specific.
    const { state, error } = this.#health;
    const isMisconfigured = state === 'down' && error?.code === 'QUEUE_MISCONFIGURED';
    if (!(isMisconfigured && failure.isUnspecific)) this.#setFailure(failure, thrown);
  }

  #handleClose(): void {
    // If an error ended the connection, keep this error, because it is more specific than the loss of the connection.
    if (this.#health.state !== 'down')
      this.#setFailure({ state: 'down', detail: 'the connection to Redis was lost' });
  }

  async #runProbe(): Promise<void> {
    if (this.#probing || this.#closed) return;
    this.#probing = true;
    this.#cancelTimer();
    try {
      if (this.#server.isReady()) await this.#probe();
    } catch (thrown) {
      const failure = failureOf(thrown);
      this.#setFailure(failure, thrown);
      if (failure.isSilent) this.#server.reconnect();
    } finally {
      this.#probing = false;
      if (!this.#closed) this.#cancelTimer = this.#timers.wake(() => void this.#runProbe(), PROBE_MS);
    }
  }

  async #probe(): Promise<void> {
    // Jobs that are added after this line use the same connection as the probe, so they reach the server after the
    // probe has read the data id.
    const asOf = this.#timers.now();
    const { dataId, warning } = await this.#probeRedis();
    const paused = await this.#isPaused();
    if (this.#closed) return;
    if (this.#dataId !== undefined && this.#dataId !== dataId)
      this.#set(healthOf({ state: 'down', detail: 'Redis lost its data' }));
    this.#dataId = dataId;
    // Compare the absolute difference, so that a clock set back does not extend the failure for hours.
    if (Math.abs(this.#timers.now() - this.#heldSince) < HOLD_MS) return;
    const failure = paused ? PAUSED : warning;
    this.#set({ ...(failure === undefined ? { state: 'up' } : healthOf(failure)), asOf });
  }
}

/** Checks Redis with a small write. No other command detects that Redis is full, read-only or emptied. */
function createProbe(server: RedisServer): () => Promise<ProbeResult> {
  const { connection } = server;
  // Only this probe writes the key. The key keeps its value as long as Redis keeps its data.
  const key = `${server.prefix}:epoch`;
  let probes = 0;
  let evicts = false;
  server.onReady(() => {
    probes = 0;
  });
  return async () => {
    const newId = randomUUID();
    const isNew = (await connection.set(key, newId, 'NX')) === 'OK';
    const dataId = isNew ? newId : ((await connection.get(key)) ?? newId);
    // Some ACLs do not permit `INFO`. The probe can still rely on it, because BullMQ needs `INFO` anyway.
    if (probes % PROBES_PER_POLICY === 0) evicts = mayEvict(await connection.info('memory'));
    probes += 1;
    return { dataId, warning: evicts ? EVICTS : undefined };
  };
}

function mayEvict(info: string): boolean {
  const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
  return policy !== undefined && policy !== 'noeviction';
}

function healthOf({ state, detail, needsOperator }: QueueFailure, cause?: unknown): QueueHealth {
  const code = needsOperator ? 'QUEUE_MISCONFIGURED' : 'QUEUE_UNAVAILABLE';
  return { state, error: new AppError(code, { detail, cause }) };
}

export function unavailable(detail: string, cause?: unknown): AppError {
  return new AppError('QUEUE_UNAVAILABLE', { detail, cause });
}
