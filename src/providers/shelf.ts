/** What was asked for, by its id: each once, as long as its answer is kept and not too old. */
export interface Shelf<T> {
  get(id: string): Promise<T> | undefined;
  /** Keeps it while it is under way, and from then on while there is room. */
  put(id: string, answer: Promise<T>, sizeOf: (value: T) => number): Promise<T>;
}

/** The room that shelves share, in bytes: those of one reader, or of all readers of a process. */
export interface Room {
  /** For one shelf, which is not held by it. What is to go is told with the shelf, by a function that holds none either. */
  lodge<Shelf extends object>(shelf: Shelf, leave: (shelf: Shelf, place: Place) => void): Lodging;
}

export interface Lodging {
  /** Makes room for it. */
  take(place: Place): void;
}

export interface Place {
  readonly id: string;
  readonly bytes: number;
}

/** Of each entry, beside its value: its id, promises and maps. */
const OVERHEAD = 256;
/** A service has as many readers as requests under way, and each would keep as much. */
const MAX_BYTES = 8 * 2 ** 20;

/** Whatever was settled first goes first. */
export function createRoom(maxBytes = MAX_BYTES): Room {
  const taken = new Map<Place, (place: Place) => void>();
  let total = 0;
  const free = (place: Place): void => {
    if (taken.delete(place)) total -= place.bytes;
  };
  // A shelf ends with its pass, which nobody says.
  const ended = new FinalizationRegistry<Set<Place>>((places) => {
    for (const place of places) free(place);
  });
  return {
    lodge(shelf, leave) {
      const places = new Set<Place>();
      const known = new WeakRef(shelf);
      ended.register(shelf, places);
      const giveUp = (place: Place): void => {
        free(place);
        places.delete(place);
        const still = known.deref();
        if (still !== undefined) leave(still, place);
      };
      return {
        take(place) {
          places.add(place);
          taken.set(place, giveUp);
          total += place.bytes;
          for (const [oldest, leaving] of taken) {
            if (total <= maxBytes) return;
            leaving(oldest);
          }
        },
      };
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
  /** None while it is under way. */
  place?: Place;
}

function leave<T>(answers: Map<string, Kept<T>>, place: Place): void {
  if (answers.get(place.id)?.place === place) answers.delete(place.id);
}

/** @param age How old an answer may become. What is under way is never too old. */
export function createShelf<T>(room: Room, age: Age = { now: () => 0, mostMs: 0 }): Shelf<T> {
  const answers = new Map<string, Kept<T>>();
  const lodging = room.lodge(answers, leave);
  return {
    get(id) {
      const kept = answers.get(id);
      // A clock that was set back says nothing of an age.
      const isOld = kept !== undefined && Math.abs(age.now() - kept.askedAt) > age.mostMs;
      return isOld && kept.place !== undefined ? undefined : kept?.answer;
    },
    put(id, answer, sizeOf) {
      const kept: Kept<T> = { answer, askedAt: age.now() };
      answers.set(id, kept);
      // A failure takes little room; it is its asker's business.
      const settled = (bytes: number) => {
        kept.place = { id, bytes: bytes + id.length + OVERHEAD };
        lodging.take(kept.place);
      };
      answer.then(
        (value) => settled(sizeOf(value)),
        () => settled(0),
      );
      return answer;
    },
  };
}
