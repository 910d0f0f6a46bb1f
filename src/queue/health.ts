import { AppError } from '../core/errors.ts';
import type { Timers } from '../core/timer.ts';
import type { QueueHealth } from './queue.ts';

/** A failure of the queue's server. */
export interface QueueFailure {
  readonly state: 'degraded' | 'down';
  readonly detail: string;
  /** An operator must fix the configuration. */
  readonly needsOperator?: true;
  /** The failure only reports a missing connection, without its cause. */
  readonly isUnspecific?: true;
  /** The server accepts a connection but does not answer. */
  readonly isSilent?: true;
  /** Only normal use of the queue detects the failure. Probes do not detect a missing permission or command. */
  readonly isSeenOnlyInUse?: true;
}

export interface ProbeResult {
  /** Changes when the server has lost its data. */
  readonly dataId: string;
  /** A failure that does not stop the queue. */
  readonly warning?: QueueFailure | undefined;
}

/** The operations of the queue's server that the health check uses. */
export interface ProbedServer {
  readonly name: string;
  isReady(): boolean;
  /** Checks with a small write whether the server accepts jobs. @throws the error of the server's client */
  probe(): Promise<ProbeResult>;
  failureOf(thrown: unknown): QueueFailure;
  /** Returns the failure that the server itself has reported. Returns `undefined` for an error of the connection. */
  refusalOf(thrown: unknown): QueueFailure | undefined;
  /** Replaces a connection that may be half open. */
  reconnect(): void;
  onReady(listener: () => void): void;
  onClose(listener: () => void): void;
}

export interface HealthWatch {
  get(): QueueHealth;
  onChange(listener: (health: QueueHealth) => void): () => void;
  /** Updates the health after an error of any connection. */
  reportError(thrown: unknown): void;
  close(): void;
}

const PROBE_MS = 3_000;
/** A failure that probes cannot detect is reported for this long, even if probes succeed. */
const HOLD_MS = 15_000;
const PAUSED: QueueFailure = {
  state: 'down',
  detail: 'the queue is paused: resume it with the tool that paused it',
  needsOperator: true,
};

/**
 * Checks every few seconds whether jobs can be added and processed. The state of the connection does not reveal that
 * the server is full, frozen, read-only or emptied.
 *
 * @param isPaused Whether an admin tool has paused the queue. Jobs can then be added, but no worker receives them.
 */
export function watchHealth(
  server: ProbedServer,
  isPaused: () => Promise<boolean>,
  timers: Timers,
): HealthWatch {
  const tracker = createTracker(healthOf({ state: 'down', detail: 'not connected yet' }));
  let dataId: string | undefined;
  let heldSince = Number.NEGATIVE_INFINITY;
  let closed = false;
  let probing = false;
  let cancelTimer = (): void => {};

  const setFailure = (failure: QueueFailure, cause: unknown): void => {
    if (closed) return;
    if (failure.isSeenOnlyInUse) heldSince = timers.now();
    tracker.set(healthOf(failure, cause));
  };

  const reportError = (thrown: unknown): void => {
    const refusal = server.refusalOf(thrown);
    if (refusal !== undefined) setFailure(refusal, thrown);
    // Jobs are added over the connection that probes use, so ignore errors of other connections while it is ready.
    if (refusal !== undefined || server.isReady()) return;
    const failure = server.failureOf(thrown);
    // Keep an error that shows the operator what to fix. A missing connection is less specific.
    const { state, error } = tracker.get();
    const isMisconfigured = state === 'down' && error?.code === 'QUEUE_MISCONFIGURED';
    if (!(isMisconfigured && failure.isUnspecific)) setFailure(failure, thrown);
  };

  const probe = async (): Promise<void> => {
    // Jobs that are added after this line use the same connection as the probe. So they reach the server after the data
    // id was read.
    const asOf = timers.now();
    const { dataId: currentId, warning } = await server.probe();
    const paused = await isPaused();
    if (closed) return;
    if (dataId !== undefined && dataId !== currentId)
      tracker.set(healthOf({ state: 'down', detail: `${server.name} lost its data` }));
    dataId = currentId;
    // Compare the absolute difference, so that a clock set back does not extend the failure for hours.
    if (Math.abs(timers.now() - heldSince) < HOLD_MS) return;
    const failure = paused ? PAUSED : warning;
    tracker.set({ ...(failure === undefined ? { state: 'up' } : healthOf(failure)), asOf });
  };

  const runProbe = async (): Promise<void> => {
    if (probing || closed) return;
    probing = true;
    cancelTimer();
    try {
      if (server.isReady()) await probe();
    } catch (thrown) {
      const failure = server.failureOf(thrown);
      setFailure(failure, thrown);
      if (failure.isSilent) server.reconnect();
    } finally {
      probing = false;
      if (!closed) cancelTimer = timers.wake(() => void runProbe(), PROBE_MS);
    }
  };

  server.onReady(() => void runProbe());
  // If an error ended the connection, keep it, because it is more specific.
  server.onClose(() => {
    const lost: QueueFailure = { state: 'down', detail: `the connection to ${server.name} was lost` };
    if (!closed && tracker.get().state !== 'down') tracker.set(healthOf(lost));
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

function createTracker(first: QueueHealth) {
  let current = first;
  const listeners = new Set<(health: QueueHealth) => void>();
  return {
    get: () => current,
    /** Notifies the listeners if the state or the error changed. */
    set(next: QueueHealth): void {
      const same = next.state === current.state && next.error?.message === current.error?.message;
      current = next;
      if (!same) for (const listener of [...listeners]) listener(next);
    },
    onChange(listener: (health: QueueHealth) => void) {
      const own = (health: QueueHealth): void => listener(health);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}

function healthOf({ state, detail, needsOperator }: QueueFailure, cause?: unknown): QueueHealth {
  const code = needsOperator ? 'QUEUE_MISCONFIGURED' : 'QUEUE_UNAVAILABLE';
  return { state, error: new AppError(code, { detail, cause }) };
}

export function unavailable(detail: string, cause?: unknown): AppError {
  return new AppError('QUEUE_UNAVAILABLE', { detail, cause });
}
