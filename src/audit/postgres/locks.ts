import { AsyncLocalStorage } from 'node:async_hooks';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import { auditUnavailable, busyElsewhere } from '../errors.ts';
import { BACKEND } from './backends.ts';
import { isLocked } from './errors.ts';
import type { Session } from './session.ts';

/**
 * Returns the key of an advisory lock, as an SQL number. The key is 64 bits of a hash, so that it differs from the keys
 * of other programs in the same database.
 */
export function lockKey(name: string): string {
  return createHash('sha256').update(`secretbridge audit ${name}`).digest().readBigInt64BE().toString();
}

/** Returns the key of the lock that a replica holds on its write connection while it runs. */
export function replicaKey(replica: string): string {
  return lockKey(`replica ${replica}`);
}

function exclusiveKey(name: string): string {
  return lockKey(`exclusive ${name}`);
}

/** Named locks that only one process can hold at a time. Each lock is an advisory lock on its own connection. */
export interface ExclusiveLocks {
  /**
   * Waits for the lock. Disposing the returned object releases the lock. @throws AppError BUSY_ELSEWHERE after the
   * timeout.
   */
  acquire(name: string): Promise<HeldLock>;
  /** Fails if the lock was lost, because another process may hold it now. Call this function within `run`. */
  assertHeld(): Promise<void>;
}

export interface HeldLock extends AsyncDisposable {
  run<T>(work: () => Promise<T>): Promise<T>;
}

const LOCK_TIMEOUT_MS = 60_000;
const PING_MS = 3_000;

export function createExclusiveLocks(
  open: () => Promise<Session>,
  timeoutMs = LOCK_TIMEOUT_MS,
): ExclusiveLocks {
  const currentSession = new AsyncLocalStorage<Session>();
  const localQueues = new Map<string, Promise<void>>();

  /**
   * Waits until earlier callers in this process have released the lock. So only one caller at a time needs a
   * connection. Resolves with the function that releases the lock.
   */
  async function acquireLocal(name: string): Promise<() => void> {
    const done = Promise.withResolvers<void>();
    const predecessor = localQueues.get(name) ?? Promise.resolve();
    const tail = predecessor.then(() => done.promise);
    localQueues.set(name, tail);
    const waiting = new AbortController();
    try {
      await Promise.race([predecessor, rejectAfter(timeoutMs, waiting.signal)]);
      return () => {
        done.resolve();
        if (localQueues.get(name) === tail) localQueues.delete(name);
      };
    } catch (error) {
      done.resolve();
      throw error;
    } finally {
      waiting.abort();
    }
  }

  return {
    async acquire(name) {
      const deadline = performance.now() + timeoutMs;
      await using stack = new AsyncDisposableStack();
      stack.defer(await acquireLocal(name));
      const session = stack.use(await open());
      await lock(session, exclusiveKey(name), deadline);
      await checkBackend(session);
      stack.defer(() => unlock(session, exclusiveKey(name)));
      const resources = stack.move();
      return {
        run: (work) => currentSession.run(session, work),
        [Symbol.asyncDispose]: () => resources.disposeAsync(),
      };
    },
    async assertHeld() {
      const session = currentSession.getStore();
      if (session === undefined) return;
      try {
        // The lock ends with its connection, so check that the connection works.
        await checkBackend(session, PING_MS);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        throw auditUnavailable('the lock that this work needs was lost', error);
      }
    },
  };
}

/** Fails if the locks of this connection are in another server process (`backends.ts`). */
export async function checkBackend(session: Session, timeoutMs?: number): Promise<void> {
  const [row] = (await session.query(`select ${BACKEND} as backend`, [], timeoutMs)) as readonly {
    readonly backend: string;
  }[];
  session.checkBackend(row?.backend ?? '');
}

/**
 * Waits for the lock until the deadline. The server ends each attempt after its `lock_timeout`, so each attempt also
 * shows that the server still responds.
 */
async function lock(session: Session, key: string, deadline: number): Promise<void> {
  for (;;) {
    try {
      await session.query('select pg_advisory_lock($1)', [key]);
      return;
    } catch (error) {
      if (!isLocked(error)) throw error;
      if (performance.now() >= deadline) throw busyElsewhere(error);
    }
  }
}

/** Releases the lock explicitly. The server may notice only late that a connection was closed. */
async function unlock(session: Session, key: string): Promise<void> {
  if (!session.open) return;
  try {
    await session.query('select pg_advisory_unlock($1)', [key], PING_MS);
  } catch (error) {
    // Ignore the error: the work is already done, and a lost connection also releases the lock.
    if (!(error instanceof AppError)) throw error;
  }
}

async function rejectAfter(ms: number, signal: AbortSignal): Promise<never> {
  await sleep(ms, undefined, { signal });
  throw busyElsewhere();
}
