import { createSemaphore, type Semaphore } from '../../core/semaphore.ts';
import { isTransient } from './errors.ts';
import type { Session } from './session.ts';

/** A few read connections, opened on demand and kept open. */
export interface ReadPool extends AsyncDisposable {
  /** Runs `work` on a connection. `work` must only read, because it runs a second time if the connection was lost. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /**
   * Does the same as `use` for short queries. While long searches occupy all other connections, uses a reserved one.
   */
  useQuick<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

const MAX_CONNECTIONS = 3;

export function createReadPool(open: () => Promise<Session>): ReadPool {
  const idle: Session[] = [];
  const [regular, reserved] = [createSemaphore(MAX_CONNECTIONS), createSemaphore(1)];
  let closed = false;

  async function runOnce<T>(work: (session: Session) => Promise<T>, fresh: boolean): Promise<T> {
    let session: Session | undefined;
    try {
      session = (fresh ? undefined : takeIdle()) ?? (await open());
      return await work(session);
    } finally {
      if (closed) await session?.[Symbol.asyncDispose]();
      else if (session?.open) idle.push(session);
    }
  }

  function takeIdle(): Session | undefined {
    for (;;) {
      const session = idle.pop();
      if (session === undefined || session.open) return session;
    }
  }

  async function use<T>(work: (session: Session) => Promise<T>, slots: Semaphore): Promise<T> {
    let session: Session | undefined;
    const tracked = (used: Session): Promise<T> => {
      session = used;
      return work(used);
    };
    try {
      return await slots.run(() => runOnce(tracked, false));
    } catch (error) {
      // An idle connection may have died unnoticed, so retry with a new one. Do not retry if no connection could be
      // opened.
      if (session === undefined || session.open || !isTransient(error)) throw error;
    }
    return slots.run(() => runOnce(work, true));
  }

  return {
    use: (work) => use(work, regular),
    useQuick: (work) => use(work, regular.isFull() ? reserved : regular),
    async [Symbol.asyncDispose]() {
      closed = true;
      await Promise.all(idle.splice(0).map((session) => session[Symbol.asyncDispose]()));
    },
  };
}
