/** What was asked for, by its id: each once, as long as its answer is kept. */
export interface Shelf<T> {
  get(id: string): Promise<T> | undefined;
  /** Keeps it while it is under way, and from then on while there is room. */
  put(id: string, answer: Promise<T>, sizeOf: (value: T) => number): Promise<T>;
}

/** The room that all shelves of one reader share, in bytes. */
export interface Room {
  /** Makes room for so much, and is told how to get it back. */
  take(bytes: number, leave: () => void): void;
}

/** Of each entry, beside its value: its id, promises and maps. */
const OVERHEAD = 256;

/** Whatever was settled first goes first. */
export function createRoom(maxBytes: number): Room {
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

export function createShelf<T>(room: Room): Shelf<T> {
  const answers = new Map<string, Promise<T>>();
  return {
    get: (id) => answers.get(id),
    put(id, answer, sizeOf) {
      answers.set(id, answer);
      // A failure takes little room; it is its asker's business.
      const settled = (bytes: number) => room.take(bytes + id.length + OVERHEAD, () => answers.delete(id));
      answer.then(
        (value) => settled(sizeOf(value)),
        () => settled(0),
      );
      return answer;
    },
  };
}
