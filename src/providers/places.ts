import { unlessAborted } from '../core/abort.ts';
import { createSlots } from '../core/slots.ts';

/**
 * Does something at the file system, by one call at a time, and not while the last one with this id is under way.
 * Rejects with the signal's reason; the place is taken until the file system has answered.
 */
export type InPlace = <T>(
  id: string | undefined,
  work: () => Promise<T>,
  signal: AbortSignal | undefined,
) => Promise<T>;

/** One more than a key that hangs can take, so that others are read. */
const AT_ONCE = 2;
/** Of the whole process: Node has four threads, and names of hosts and all other files need one as well. */
const ofAll = createSlots(3);

/**
 * A file system that hangs, as one behind a network does, keeps a thread of the process until it answers: no time
 * limit of ours ends that. Without bounds one such store would take all threads, and with them every other store; and so
 * would a few credentials.
 */
export function createPlaces(): InPlace {
  const own = createSlots(AT_ONCE);
  const underWay = new Map<string, Promise<unknown>>();
  const turnOf = async (id: string, signal: AbortSignal | undefined): Promise<() => void> => {
    for (let last = underWay.get(id); last !== undefined; last = underWay.get(id))
      await unlessAborted(last, signal);
    const { promise, resolve } = Promise.withResolvers<void>();
    underWay.set(id, promise);
    return () => {
      underWay.delete(id);
      resolve();
    };
  };
  return async (id, work, signal) => {
    using taken = new DisposableStack();
    if (id !== undefined) taken.defer(await turnOf(id, signal));
    for (const slots of [own, ofAll]) {
      await slots.take({ signal });
      taken.defer(() => slots.give());
    }
    const held = taken.move();
    return unlessAborted(
      work().finally(() => held.dispose()),
      signal,
    );
  };
}
