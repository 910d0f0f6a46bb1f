/** What was asked for, by its id: each once, as long as its answer is kept and not too old. */
export interface Shelf<T> {
  get(id: string): Promise<T> | undefined;
  /** Keeps it while it is under way, and from then on while there is room. */
  put(id: string, answer: Promise<T>, sizeOf: (value: T) => number): Promise<T>;
}

/** The room that shelves share, in bytes: those of one reader, or of all readers of a process. */
export interface Room {
  /** Makes room for so much, and is told how to get it back. */
  take(bytes: number, leave: () => void): void;
}

/** Of each entry, beside its value: its id, promises and maps. */
const OVERHEAD = 256;

/** A service has as many readers as requests under way, and each would keep as much. */
const MAX_BYTES = 8 * 2 ** 20;

/** Whatever was settled first goes first. */
export function createRoom(maxBytes = MAX_BYTES): Room {
  const taken = new Set<{ readonly bytes: number; readonly leave: () => void }>();
  let total = 0;
  return {
    take(bytes, leave) {
      taken.add({ bytes, leave });
      total += bytes;
      for (const oldest of taken) {
        if (total <= maxBytes) return;
        taken.delete(oldest);
        total -= oldest.bytes;
        oldest.leave();
      }
    },
  };
}

/** From when it was asked for. */
export interface Age {
  readonly now: () => number;
  readonly mostMs: number;
}

interface Kept<T> {
  readonly answer: Promise<T>;
  readonly askedAt: number;
  isUnderWay: boolean;
}

/** Of a shelf that nobody has any more the room must hold nothing, so this is no closure of it. */
function leaving<T>(answers: Map<string, Kept<T>>, id: string, kept: Kept<T>): () => void {
  const shelf = new WeakRef(answers);
  const place = new WeakRef(kept);
  return () => {
    const all = shelf.deref();
    const known = all?.get(id);
    if (known !== undefined && known === place.deref()) all?.delete(id);
  };
}

/** @param age How old an answer may become. What is under way is never too old. */
export function createShelf<T>(room: Room, age: Age = { now: () => 0, mostMs: 0 }): Shelf<T> {
  const answers = new Map<string, Kept<T>>();
  return {
    get(id) {
      const kept = answers.get(id);
      // A clock that was set back says nothing of an age.
      const isOld = kept !== undefined && Math.abs(age.now() - kept.askedAt) > age.mostMs;
      return isOld && !kept.isUnderWay ? undefined : kept?.answer;
    },
    put(id, answer, sizeOf) {
      const kept = { answer, askedAt: age.now(), isUnderWay: true };
      answers.set(id, kept);
      // A failure takes little room; it is its asker's business.
      const settled = (bytes: number) => {
        kept.isUnderWay = false;
        room.take(bytes + id.length + OVERHEAD, leaving(answers, id, kept));
      };
      answer.then(
        (value) => settled(sizeOf(value)),
        () => settled(0),
      );
      return answer;
    },
  };
}
