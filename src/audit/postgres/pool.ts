import { createSlots, type Slots } from '../../core/slots.ts';
import { isPassing } from './errors.ts';
import type { Session } from './session.ts';

/** A few connections for reading, made when they are needed and kept. */
export interface ReadPool extends AsyncDisposable {
  /** `work` only reads: after a connection that was lost it runs once more. */
  use<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** The same of what takes no time, which waits behind no search of seconds: there is one more place for it. */
  glance<T>(work: (session: Session) => Promise<T>): Promise<T>;
}

const MOST = 3;

export function createReadPool(open: () => Promise<Session>): ReadPool {
  const idle: Session[] = [];
  const [searching, glancing] = [createSlots(MOST), createSlots(1)];
  let closed = false;

  async function once<T>(work: (session: Session) => Promise<T>, fresh: boolean): Promise<T> {
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

  async function use<T>(work: (session: Session) => Promise<T>, slots: Slots): Promise<T> {
    let session: Session | undefined;
    const noted = (used: Session): Promise<T> => {
      session = used;
      return work(used);
    };
    try {
      return await slots.hold(() => once(noted, false));
    } catch (error) {
      // An idle connection may have been dead for long; one that could not be made will not be made now.
      if (session === undefined || session.open || !isPassing(error)) throw error;
    }
    return slots.hold(() => once(work, true));
  }

  return {
    use: (work) => use(work, searching),
    glance: (work) => use(work, searching.isFull() ? glancing : searching),
    async [Symbol.asyncDispose]() {
      closed = true;
      await Promise.all(idle.splice(0).map((session) => session[Symbol.asyncDispose]()));
    },
  };
}
