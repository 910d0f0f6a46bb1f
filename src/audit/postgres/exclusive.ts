import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../../core/errors.ts';
import { because, busyElsewhere } from '../failures.ts';
import { isLocked } from './errors.ts';
import { exclusiveKey } from './locks.ts';
import type { Session } from './session.ts';

/** One at a time, over all processes: a lock of a connection that lasts as long as the work. */
export interface Exclusive {
  /** Waits for its turn; disposing gives it on. @throws AppError BUSY_ELSEWHERE when that does not come in time. */
  acquire(name: string): Promise<Turn>;
  /** Within a turn: fails when the lock is no longer held, so that somebody else may be at work. */
  assertHeld(): Promise<void>;
}

export interface Turn extends AsyncDisposable {
  run<T>(work: () => Promise<T>): Promise<T>;
}

const PATIENCE_MS = 60_000;
const PING_MS = 3_000;

export function createExclusive(open: () => Promise<Session>, patienceMs = PATIENCE_MS): Exclusive {
  const held = new AsyncLocalStorage<Session>();
  const turns = new Map<string, Promise<void>>();

  /** In this process first, so that many who wait need one connection. Resolves with what gives the turn on. */
  async function turnOf(name: string): Promise<() => void> {
    const done = Promise.withResolvers<void>();
    const before = turns.get(name) ?? Promise.resolve();
    const mine = before.then(() => done.promise);
    turns.set(name, mine);
    const waiting = new AbortController();
    try {
      await Promise.race([before, tooLong(patienceMs, waiting.signal)]);
      return () => {
        done.resolve();
        if (turns.get(name) === mine) turns.delete(name);
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
      const deadline = performance.now() + patienceMs;
      await using stack = new AsyncDisposableStack();
      stack.defer(await turnOf(name));
      const session = stack.use(await open());
      await lock(session, exclusiveKey(name), deadline);
      stack.defer(() => unlock(session, exclusiveKey(name)));
      const owned = stack.move();
      return {
        run: (work) => held.run(session, work),
        [Symbol.asyncDispose]: () => owned.disposeAsync(),
      };
    },
    async assertHeld() {
      const session = held.getStore();
      if (session === undefined) return;
      try {
        // It lives as long as its connection does.
        await session.query('select', [], PING_MS);
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        throw because('the lock that this work needs was lost', error);
      }
    },
  };
}

/** The server gives up after its `lock_timeout`: then it is asked again, which shows that it still answers. */
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

/** At once, since the server takes its time to notice that a connection was closed. */
async function unlock(session: Session, key: string): Promise<void> {
  if (!session.open) return;
  try {
    await session.query('select pg_advisory_unlock($1)', [key], PING_MS);
  } catch (error) {
    // A connection that is lost gives it back as well, and the work is done.
    if (!(error instanceof AppError)) throw error;
  }
}

async function tooLong(ms: number, signal: AbortSignal): Promise<never> {
  await sleep(ms, undefined, { signal });
  throw busyElsewhere();
}
