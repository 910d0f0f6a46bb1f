import { isPassing } from './postgres-errors.ts';
import type { Session } from './postgres-session.ts';

/** A few connections for reading, made when they are needed and kept. */
export interface ReadPool extends AsyncDisposable {
  /** `work` only reads: after a connection that was lost it runs once more. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

const MOST = 3;

export function createReadPool(open: () => Promise<Session>): ReadPool {
  const idle: Session[] = [];
  const waiting: (() => void)[] = [];
  let busy = 0;
  let closed = false;

  async function once<T>(work: (session: Session) => Promise<T>, fresh: boolean): Promise<T> {
    if (busy >= MOST) await new Promise<void>((resolve) => waiting.push(resolve));
    else busy += 1;
    let session: Session | undefined;
    try {
      session = (fresh ? undefined : takeIdle()) ?? (await open());
      return await work(session);
    } finally {
      if (closed) await session?.[Symbol.asyncDispose]();
      else if (session?.open) idle.push(session);
      // Whoever waits takes over the place.
      const next = waiting.shift();
      if (next === undefined) busy -= 1;
      else next();
    }
  }

  function takeIdle(): Session | undefined {
    for (;;) {
      const session = idle.pop();
      if (session === undefined || session.open) return session;
    }
  }

  return {
    async use(work) {
      let session: Session | undefined;
      try {
        return await once((used) => {
          session = used;
          return work(used);
        }, false);
      } catch (error) {
        // An idle connection may have been dead for long; one that could not be made will not be made now.
        if (session === undefined || session.open || !isPassing(error)) throw error;
      }
      return once(work, true);
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      await Promise.all(idle.splice(0).map((session) => session[Symbol.asyncDispose]()));
    },
  };
}
