import { unlessAborted } from '../core/abort.ts';
import { toAppError } from '../core/errors.ts';
import {
  isPlain,
  type ReadResult,
  refId,
  type SourceRef,
  type StampedVersion,
  type StoreRef,
  sizeOf,
} from '../core/reading.ts';
import type { Recording } from '../core/recording.ts';
import { createExpected } from './expected.ts';
import type { CallOptions, FindQuery, SecretProvider, VersionOptions, VersionResult } from './provider.ts';
import { orElse } from './settle.ts';
import { type Age, createRoom, createShelf, type Room } from './shelf.ts';
import { createTurn } from './turn.ts';

export interface Reader {
  /** By `refId`. Each reference is read once as long as its value is kept, however many ask for it. */
  read(refs: readonly StoreRef[]): Promise<ReadonlyMap<string, ReadResult>>;
  /** Resolves when what was read last under these references is durable on record: before, nobody may act on it. */
  recorded(refs: readonly StoreRef[]): Promise<void>;
  /** The full keys that a search finds, sorted. Equal searches are one, and one that fails fails for all. */
  find(store: string, query: FindQuery): Promise<readonly string[]>;
  /**
   * These will be wanted in this pass, in about this order: what a request has room for beside what is asked for is
   * filled with them. Nothing is read for their sake alone.
   */
  expect(refs: readonly StoreRef[]): void;
  /** Hints that reads are due, in the order of the keys; `unknown` also where the store failed. */
  versions(store: string, keys: readonly string[]): Promise<readonly VersionResult[]>;
}

export interface ReaderDeps {
  /** The provider of a store; throws when it cannot be set up, for example without its credential. */
  readonly open: (store: string) => Promise<Pick<SecretProvider, 'read' | 'find' | 'versions'>>;
  /**
   * Told of each read, before anybody hears of it. May leave a record that is durable only later; of one that could not
   * be written it is told again when somebody wants the same.
   */
  readonly onRead: (source: StoreRef, result: ReadResult, tookMs: number) => Promise<Recording | undefined>;
  /** By which it is told how long its store took, for all that was asked for together; left out: 0. */
  readonly now?: () => number;
  /** What is on record of a key that this process has not read. */
  readonly recall?: (store: string, key: string) => Promise<StampedVersion | undefined>;
  /** Ends the reads under way: each of them is then rejected. */
  readonly signal?: AbortSignal | undefined;
  /** For values and names that are kept: beyond it the oldest are given up, and read anew when they are wanted. */
  readonly room?: Room;
  /** What is older is read anew. Left out: it lives as long as its pass. */
  readonly age?: Age | undefined;
  /** How many values one request to a store can give; left out: one. */
  readonly perCall?: (store: string) => number;
}

const UNKNOWN: VersionResult = { kind: 'unknown' };

/**
 * One pass over the stores: references that are asked for in the same turn of the event loop go to their store
 * together, so that a store which can batch does. Ends with its pass; it keeps values for that long.
 */
export function createReader(deps: ReaderDeps): Reader {
  const { open, onRead, recall, signal, room = createRoom(), perCall = () => 1, age, now = () => 0 } = deps;
  const reads = createShelf<ReadResult>(room, age);
  const searches = createShelf<readonly string[]>(room, age);
  const hints = createShelf<VersionResult>(room, age);
  const options: CallOptions = signal === undefined ? {} : { signal };
  const recordings = createRecordings(onRead);
  const expected = createExpected((id) => reads.get(id) !== undefined);

  /** What the last of the requests that these make has room for. */
  const fillers = (store: string, refs: readonly SourceRef[]) => {
    const size = perCall(store);
    const rest = refs.filter(isPlain).length % size;
    return (rest === 0 ? [] : expected.take(store, size - rest)).map((ref) => {
      const settle = Promise.withResolvers<ReadResult>();
      void reads.put(refId({ store, ref }), settle.promise, sizeOf);
      return { ref, settle };
    });
  };
  const ask = createTurn<SourceRef, ReadResult>(async (store, refs) => {
    const more = fillers(store, refs);
    const all = [...refs, ...more.map(({ ref }) => ref)];
    const startedAt = now();
    const answers = await readAll(open, store, all, options);
    const tookMs = now() - startedAt;
    const results = all.map(async (ref, index) => {
      const answer = answers[index];
      signal?.throwIfAborted();
      if (answer === undefined) throw new Error('a provider must answer each reference');
      await recordings.make({ store, ref }, answer, tookMs);
      return answer;
    });
    // Whoever comes for it meets its end, also a bad one.
    for (const [index, { settle }] of more.entries())
      results[refs.length + index]?.then(settle.resolve, settle.reject);
    return results.slice(0, refs.length);
  });
  const askVersion = createTurn<string, VersionResult>(async (store, keys) => {
    const answers = await tellAll(open, store, keys, {
      ...options,
      recall: recall && ((key) => recall(store, key)),
    });
    return keys.map(async (_, index) => {
      signal?.throwIfAborted();
      return answers[index] ?? UNKNOWN;
    });
  });
  const search = async (store: string, query: FindQuery): Promise<readonly string[]> => {
    const found = async () => (await open(store)).find(query, options);
    return unlessAborted(found(), signal);
  };

  return {
    expect: (refs) => expected.add(refs.filter(({ store, ref }) => perCall(store) > 1 && isPlain(ref))),
    find(store, query) {
      const id = JSON.stringify([store, query.path, Object.entries(query.tags).sort()]);
      return searches.get(id) ?? searches.put(id, search(store, query), sizeOfNames);
    },
    async read(refs) {
      const results = refs.map(async (source): Promise<[string, ReadResult]> => {
        const id = refId(source);
        const kept = reads.get(id);
        if (kept === undefined) return [id, await reads.put(id, ask(source.store, source.ref), sizeOf)];
        const answer = await kept;
        await recordings.again(source, answer);
        return [id, answer];
      });
      return new Map(await Promise.all(results));
    },
    recorded: (refs) => recordings.of(refs.map(refId)),
    async versions(store, keys) {
      return Promise.all(
        keys.map((key) => {
          const id = JSON.stringify([store, key]);
          return hints.get(id) ?? hints.put(id, askVersion(store, key), () => 0);
        }),
      );
    },
  };
}

interface Recordings {
  /** Resolves when the record of a read has its place in the line. */
  make(source: StoreRef, answer: ReadResult, tookMs: number): Promise<void>;
  /** One that could not be written, for whoever wants to go by that answer now: the audit may be back. */
  again(source: StoreRef, answer: ReadResult): Promise<void>;
  of(ids: readonly string[]): Promise<void>;
}

/** Those under way, and those that failed: what they say was read stays off the record. */
function createRecordings(onRead: ReaderDeps['onRead']): Recordings {
  const open = new Map<string, Promise<unknown>>();
  /** With how long the store took. */
  const failed = new Map<string, number>();
  const track = (id: string, durable: Promise<unknown>, tookMs: number): void => {
    failed.delete(id);
    open.set(id, durable);
    // Of one that failed, whoever acts on it is told.
    void Promise.allSettled([durable]).then(([{ status }]) => {
      if (open.get(id) !== durable) return;
      if (status === 'fulfilled') open.delete(id);
      else failed.set(id, tookMs);
    });
  };
  return {
    async make(source, answer, tookMs) {
      const id = refId(source);
      const recording = await onRead(source, answer, tookMs);
      if (recording !== undefined) return track(id, recording.durable, tookMs);
      // It was on record, whatever became of one before.
      open.delete(id);
      failed.delete(id);
    },
    async again(source, answer) {
      const id = refId(source);
      const tookMs = failed.get(id);
      if (tookMs === undefined) return;
      const made = onRead(source, answer, tookMs);
      const durable = made.then((recording) => recording?.durable);
      track(id, durable, tookMs);
      await Promise.allSettled([made]);
    },
    async of(ids) {
      await Promise.all(ids.map(async (id) => open.get(id)));
    },
  };
}

function sizeOfNames(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + 2 * name.length, 0);
}

/** A store that cannot be opened fails each of its references, and nobody else's. */
async function readAll(
  open: ReaderDeps['open'],
  store: string,
  refs: readonly SourceRef[],
  options: CallOptions,
): Promise<readonly ReadResult[]> {
  const read = async () => (await open(store)).read(refs, options);
  try {
    return await unlessAborted(read(), options.signal);
  } catch (thrown) {
    const error = toAppError(thrown);
    return refs.map(() => ({ kind: 'failed', error }));
  }
}

async function tellAll(
  open: ReaderDeps['open'],
  store: string,
  keys: readonly string[],
  options: VersionOptions,
): Promise<readonly VersionResult[]> {
  const tell = async () => (await open(store)).versions(keys, options);
  return orElse<readonly VersionResult[]>(unlessAborted(tell(), options.signal), () =>
    keys.map(() => UNKNOWN),
  );
}
