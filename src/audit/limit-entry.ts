import { type Entry, type KeyChanges, NO_KEYS } from './entry.ts';

/**
 * The maximum size of an entry, in UTF-8 bytes of its canonical JSON. A record has at most 64 KiB: the entry, and the
 * members that the store adds.
 */
const MAX_ENTRY_BYTES = 62 * 1_024;
/** The maximum length of a text in an entry that is too large. */
const MAX_TEXT = 1_024;
const MAX_BYTES_OF_CHARACTER = 3;

/**
 * Shortens an entry that is too large. `counts` says how much is left out: `textsCut`, `sourcesLeftOut`, `keysLeftOut`,
 * `valuesLeftOut`. Sources are kept before keys, and keys before fingerprints, because a rollback needs the sources.
 */
export function limitEntry(entry: Entry): Entry {
  // Avoid counting the bytes of the many small entries.
  if (JSON.stringify(entry).length * MAX_BYTES_OF_CHARACTER <= MAX_ENTRY_BYTES) return entry;
  if (sizeOf(entry) <= MAX_ENTRY_BYTES) return entry;
  const texts = new TextLimit();
  const { sources, keys, values, counts, ...rest } = texts.cut(entry) as Entry;
  // The counts of what is left out need room too.
  const small = { ...rest, sources: [], keys: NO_KEYS, counts: { ...counts, ...ALL_COUNTS } };
  const room = new Room(MAX_ENTRY_BYTES - sizeOf(small));
  const keptSources = room.take(sources);
  const kept: KeyChanges = {
    removed: room.take(keys.removed),
    changed: room.take(keys.changed),
    added: room.take(keys.added),
  };
  const keptValues = room.take(Object.entries(values ?? {}));
  const countOf = ({ added, changed, removed }: KeyChanges) => added.length + changed.length + removed.length;
  const valuesLeftOut = Object.keys(values ?? {}).length - keptValues.length + (counts?.valuesLeftOut ?? 0);
  const leftOut = {
    textsCut: texts.count,
    sourcesLeftOut: sources.length - keptSources.length,
    keysLeftOut: countOf(keys) - countOf(kept),
    valuesLeftOut,
  };
  return {
    ...rest,
    sources: keptSources,
    keys: kept,
    ...(values === undefined ? {} : { values: Object.fromEntries(keptValues) }),
    counts: { ...counts, ...Object.fromEntries(Object.entries(leftOut).filter(([, count]) => count > 0)) },
  };
}

const MAX_COUNT = Number.MAX_SAFE_INTEGER;
const ALL_COUNTS = {
  ...{ textsCut: MAX_COUNT, sourcesLeftOut: MAX_COUNT, keysLeftOut: MAX_COUNT, valuesLeftOut: MAX_COUNT },
};

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/** Takes items as long as they fit. */
class Room {
  #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  take<T>(items: readonly T[]): readonly T[] {
    const kept: T[] = [];
    for (const item of items) {
      this.#bytes -= sizeOf(item) + 1;
      if (this.#bytes < 0) break;
      kept.push(item);
    }
    return kept;
  }
}

/** Cuts long texts, at any depth. */
class TextLimit {
  count = 0;

  cut(value: unknown): unknown {
    if (typeof value === 'string') return this.#cutText(value);
    if (Array.isArray(value)) return value.map((item) => this.cut(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, this.cut(member)]));
  }

  #cutText(text: string): string {
    if (text.length <= MAX_TEXT) return text;
    this.count += 1;
    return `${text.slice(0, MAX_TEXT).toWellFormed()}…`;
  }
}
