import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { type PendingRecord, type ReadResult, refId, type StoreRef } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import {
  createSourceReaders,
  type ReaderOptions,
  type SourceReader,
} from '../../src/providers/source-reader.ts';
import { useFakeTimers } from '../fakes/fake-timers.ts';

const KIB = 1_024;

function readerWith(
  options: {
    maxBytes?: number;
    maxAgeMs?: number;
    signal?: AbortSignal;
    check?: () => void;
    down?: readonly string[];
    answers?: (key: string) => ReadResult | undefined;
    batchSizeOf?: (store: string) => number;
    /** The pending records that `onRead` returns for the first reads, in order. */
    recordings?: readonly PendingRecord[];
  } = {},
) {
  const reads: string[][] = [];
  const searches: string[] = [];
  const hints: string[][] = [];
  const recordedKeys: string[] = [];
  const hold = Promise.withResolvers<void>();
  const found = (): ReadResult => ({
    kind: 'found',
    value: SecretValue.fromBytes(Buffer.alloc(KIB)),
    version: '1',
  });
  const { maxBytes, maxAgeMs, batchSizeOf = () => 1, signal, check } = options;
  const time = { now: 1_000 };
  const readers = createSourceReaders({
    ...{ maxBytes, maxAgeMs, batchSizeOf },
    now: () => time.now,
    open: async (store) => {
      if (options.down?.includes(store)) throw new AppError('STORE_UNAVAILABLE');
      return {
        async read(refs) {
          reads.push(refs.map(({ key }) => key));
          if (store === 'hanging') await hold.promise;
          return refs.map(({ key }) => options.answers?.(key) ?? found());
        },
        async find({ path }) {
          searches.push(path);
          if (path === 'bad') throw new AppError('TIMEOUT');
          return [`${path}/${'x'.repeat(KIB)}`];
        },
        async versions(keys) {
          hints.push([...keys]);
          return keys.map((key) => ({ kind: 'known', version: key }));
        },
      };
    },
  });
  const readerOptions: ReaderOptions = {
    onRead: async ({ ref }) => {
      recordedKeys.push(ref.key);
      return options.recordings?.[recordedKeys.length - 1];
    },
  };
  const open = (more: Partial<ReaderOptions> = {}) => readers.reader({ ...readerOptions, ...more });
  const reader = open({ ...(signal && { signal }), ...(check && { check }) });
  const read = async (...keys: readonly string[]) => reader.read(keys.map((key) => at('a', key)));
  return { readers, open, time, reader, read, reads, searches, hints, recordedKeys, release: hold.resolve };
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

function failing(): PendingRecord {
  const durable = Promise.reject(new AppError('AUDIT_UNAVAILABLE'));
  void Promise.allSettled([durable]);
  return { durable };
}

function at(store: string, key: string): StoreRef {
  return { store, ref: { key } };
}

describe('a source reader', () => {
  it('reads each reference once, and sends the references of one turn of the event loop in one call', async () => {
    const { read, reads, recordedKeys } = readerWith();
    await Promise.all([read('a', 'b'), read('b', 'c')]);
    await read('a', 'c');
    expect(reads).toEqual([['a', 'b', 'c']]);
    expect(recordedKeys).toEqual(['a', 'b', 'c']);
  });

  it('drops values when they exceed the memory limit, and reads them again when they are needed', async () => {
    const { read, reads, recordedKeys } = readerWith({ maxBytes: 4 * KIB });
    for (const key of ['a', 'b', 'c', 'd']) await read(key);
    reads.length = 0;
    await read('d');
    expect(reads).toEqual([]);
    await read('a');
    expect(reads).toEqual([['a']]);
    expect(recordedKeys.filter((key) => key === 'a')).toHaveLength(2);
  });

  it('reads a value again when it has reached its maximum age', async () => {
    const clock = useFakeTimers();
    const { read, reads } = readerWith({ maxAgeMs: 10 });
    await clock.advance(1); // lru-cache would treat a start time of 0 as missing.
    await read('a');
    await clock.advance(10);
    await read('a');
    await clock.advance(2);
    await read('a');
    expect(reads).toEqual([['a'], ['a']]);
  });

  it('uses the answers of other readers if these answers are new enough', async () => {
    const { open, time, read, reads, recordedKeys } = readerWith();
    const early = open();
    await read('a');
    // The request for the value was sent after `early` was opened, but not after the time that is passed to `since`.
    // The value is therefore read again.
    await early.since(time.now).read([at('a', 'a')]);
    expect(reads).toHaveLength(2);
    await early.since(time.now - 1).read([at('a', 'a')]);
    expect(reads).toHaveLength(2);
    await open()
      .since(0)
      .read([at('a', 'a')]);
    expect([reads.flat(), recordedKeys]).toEqual([
      ['a', 'a', 'a'],
      ['a', 'a', 'a'],
    ]);
    const own = early.since(time.now);
    await own.read([at('a', 'b')]);
    await own.read([at('a', 'b')]);
    expect(reads.flat()).toEqual(['a', 'a', 'a', 'b']);
  });

  it('makes only one request for a reference at a time', async () => {
    const { open, time, reads, release } = readerWith();
    const early = open();
    const first = open().read([at('hanging', 'h')]);
    time.now += 1;
    const later = [open(), early, open()].map((reader) => reader.read([at('hanging', 'h')]));
    await nextTurn();
    expect(reads).toEqual([['h']]);
    release();
    await Promise.all([first, ...later]);
    expect(reads).toEqual([['h'], ['h']]);
  });

  it('after a reference has hung twice in a row, fails reads of this reference without a request, and still reads other references', async () => {
    const hung: ReadResult = { kind: 'failed', error: new AppError('TIMEOUT') };
    let answer: ReadResult | undefined = hung;
    const { open, time, reads, release } = readerWith({
      answers: (key) => (key === 'h' ? answer : undefined),
    });
    await open().read([at('a', 'h')]);
    time.now += 1;
    reads.length = 0;
    const hold = Promise.withResolvers<void>();
    const blocking = open({ onRead: () => hold.promise.then(() => undefined) }).read([at('a', 'h')]);
    await nextTurn();
    time.now += 1;
    const late = await open().read([at('a', 'h'), at('a', 'k')]);
    expect([...late.values()]).toMatchObject([
      { kind: 'failed', error: { code: 'TIMEOUT' } },
      { kind: 'found' },
    ]);
    expect(reads).toEqual([['h'], ['k']]);
    hold.resolve();
    await blocking;
    answer = undefined;
    time.now += 1;
    const healed = await open().read([at('a', 'h')]);
    expect([...healed.values()]).toMatchObject([{ kind: 'found' }]);
    release();
  });

  it('completes a read for other readers if the reader that started it is interrupted', async () => {
    let isStopped = false;
    const { open, reads } = readerWith();
    const check = () => {
      if (isStopped) throw new AppError('INTERRUPTED');
    };
    const stopped = expect(open({ check }).read([at('a', 'k')])).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    const other = open().read([at('a', 'k')]);
    isStopped = true;
    await stopped;
    expect([...(await other).values()]).toMatchObject([{ kind: 'found' }]);
    expect(reads.flat()).toEqual(['k']);
  });

  it('does not keep answers to requests that were sent before the readers were cleared', async () => {
    const { readers, read, reads, reader, release } = readerWith();
    const pending = reader.read([at('hanging', 'h')]);
    await read('a');
    readers.clear();
    const again = reader.read([at('hanging', 'h')]);
    await read('a');
    release();
    await Promise.all([pending, again]);
    expect(reads.toSorted()).toEqual([['a'], ['a'], ['h'], ['h']]);
  });

  it('reports when the records of reads are durable, and which records failed', async () => {
    const durable = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const recordings = durable.map(({ promise }) => ({ durable: promise }));
    const { reader, read } = readerWith({ recordings });
    await read('a', 'b', 'c');
    const ended: string[] = [];
    const wait = async (...keys: readonly string[]) => {
      const all = reader.recorded(keys.map((key) => at('a', key)));
      const [{ status }] = await Promise.allSettled([all]);
      ended.push(`${keys.join('')} ${status}`);
    };
    const waits = [wait('a'), wait('a', 'b'), wait('c')];
    durable[0]?.resolve();
    await waits[0];
    expect(ended).toEqual(['c fulfilled', 'a fulfilled']);
    durable[1]?.reject(new AppError('AUDIT_UNAVAILABLE'));
    await Promise.all(waits);
    await wait('b');
    expect(ended.slice(2)).toEqual(['ab rejected', 'b rejected']);
  });

  it('writes a failed record again for the next caller, without reading the reference again', async () => {
    const { reader, read, reads, recordedKeys } = readerWith({ recordings: [failing(), failing()] });
    const recorded = () => reader.recorded([at('a', 'x')]);
    for (const count of [1, 2]) {
      await read('x');
      await expect(recorded()).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
      expect(recordedKeys).toHaveLength(count);
    }
    await Promise.all([read('x'), read('x')]);
    await recorded();
    await read('x');
    expect([reads, recordedKeys]).toEqual([[['x']], ['x', 'x', 'x']]);
  });

  it('forgets a failed record after the reference was read and recorded again', async () => {
    const { reader, read, reads, open, time } = readerWith({ recordings: [failing()] });
    await read('x');
    await expect(reader.recorded([at('a', 'x')])).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    time.now += 1;
    await open().read([at('a', 'x')]);
    await reader.recorded([at('a', 'x')]);
    expect(reads).toEqual([['x'], ['x']]);
  });

  it('returns a value to every caller, even if the value exceeds the memory limit', async () => {
    const { read } = readerWith({ maxBytes: 1 });
    const keys = Array.from({ length: 50 }, (_, index) => `k${index}`);
    const results = await read(...keys);
    for (const key of keys) expect(results.get(refId(at('a', key)))).toMatchObject({ kind: 'found' });
  });

  it('keeps running reads even if the memory limit is exceeded', async () => {
    const { reader, read, reads, release } = readerWith({ maxBytes: 1 });
    const first = reader.read([at('hanging', 'h')]);
    await read('a', 'b', 'c');
    const second = reader.read([at('hanging', 'h')]);
    release();
    await Promise.all([first, second]);
    expect(reads.filter(([key]) => key === 'h')).toHaveLength(1);
  });

  it('counts the results of searches toward the memory limit', async () => {
    const { reader, searches } = readerWith({ maxBytes: 4 * KIB });
    const query = (path: string) => ({ path, tags: {} });
    await Promise.all([reader.find('a', query('p')), reader.find('a', query('p'))]);
    expect(searches).toEqual(['p']);
    for (const path of ['q', 'r']) await reader.find('a', query(path));
    await reader.find('a', query('p'));
    expect(searches).toEqual(['p', 'q', 'r', 'p']);
  });

  it('reports the failure of a search to all callers that share the search', async () => {
    const { reader, searches } = readerWith();
    const both = [1, 2].map(() => reader.find('a', { path: 'bad', tags: {} }));
    expect(await Promise.allSettled(both)).toMatchObject([
      { reason: { code: 'TIMEOUT' } },
      { reason: { code: 'TIMEOUT' } },
    ]);
    expect(searches).toEqual(['bad']);
  });

  it('fails only the references of the store that cannot be opened', async () => {
    const { reader } = readerWith({ down: ['b'] });
    const results = await reader.read([at('a', 'k'), at('b', 'k')]);
    expect(results.get(refId(at('a', 'k')))).toMatchObject({ kind: 'found' });
    expect(results.get(refId(at('b', 'k')))).toMatchObject({
      kind: 'failed',
      error: { code: 'STORE_UNAVAILABLE' },
    });
  });

  it('returns the results of one store without waiting for another store', async () => {
    const { reader, read, release } = readerWith();
    const hanging = reader.read([at('hanging', 'k')]);
    expect((await read('k')).size).toBe(1);
    release();
    await hanging;
  });

  it('rejects running reads when its signal is aborted', async () => {
    const controller = new AbortController();
    const { reader, release } = readerWith({ signal: controller.signal });
    const read = expect(reader.read([at('hanging', 'k')])).rejects.toMatchObject({ code: 'INTERRUPTED' });
    await nextTurn();
    controller.abort(new AppError('INTERRUPTED'));
    release();
    await read;
  });

  it('records a read that the end of the process interrupts, and rejects instead of returning a failure', async () => {
    const interrupted = { kind: 'failed', error: new AppError('INTERRUPTED') } as const;
    const { read, recordedKeys } = readerWith({ answers: () => interrupted });
    await expect(read('k')).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(recordedKeys).toEqual(['k']);
  });
});

describe('announced references', () => {
  const batchSizeOf = (store: string) => (store === 'single' ? 1 : 4);
  const expectAll = (reader: SourceReader, ...keys: readonly string[]) =>
    reader.expect(keys.map((key) => at('a', key)));

  it('adds announced references to a batch that is not full, in order and without duplicates', async () => {
    const { reader, read, reads, recordedKeys } = readerWith({ batchSizeOf });
    expectAll(reader, 'a', 'b', 'c', 'd');
    await read('x', 'a');
    expect(reads).toEqual([['x', 'a', 'b', 'c']]);
    await Promise.all([read('b', 'c'), read('y')]);
    expect(reads).toEqual([
      ['x', 'a', 'b', 'c'],
      ['y', 'd'],
    ]);
    expect(recordedKeys).toEqual(['x', 'a', 'b', 'c', 'y', 'd']);
  });

  it('requests announced references ahead in full batches, when the first of them is needed', async () => {
    const { reader, read, reads } = readerWith({ batchSizeOf });
    const keys = Array.from({ length: 26 }, (_, n) => `key-${n}`);
    expectAll(reader, ...keys);
    for (const key of keys) await read(key);
    expect(reads.flat().toSorted()).toEqual(keys.toSorted());
    expect(reads.map(({ length }) => length)).toEqual([4, 4, 4, 4, 4, 4, 2]);
    expect(reads[0]).toEqual(['key-1', 'key-2', 'key-3', 'key-4']);
  });

  it('requests at most three batches of announced references ahead', async () => {
    const { reader, read, reads } = readerWith({ batchSizeOf });
    expectAll(reader, ...Array.from({ length: 50 }, (_, n) => `key-${n}`));
    await read('key-0');
    await nextTurn();
    expect(reads).toHaveLength(4);
  });

  it('adds the announced references that are needed soon before all others', async () => {
    const { reader, read, reads } = readerWith({ batchSizeOf });
    expectAll(reader, 'a', 'b', 'c', 'd');
    reader.expect([at('a', 'd'), at('a', 'not announced before')], true);
    await read('x');
    await read('y');
    expect(reads).toEqual([
      ['x', 'd', 'not announced before', 'a'],
      ['y', 'b', 'c'],
    ]);
  });

  it('makes no call for announced references unless the call also reads a requested reference', async () => {
    const { reader, read, reads } = readerWith({ batchSizeOf });
    expectAll(reader, 'x', 'y');
    await nextTurn();
    expect(reads).toEqual([]);
    await read('a', 'b', 'c', 'd');
    expect(reads).toEqual([['a', 'b', 'c', 'd']]);
  });

  it('does not read an announced reference in advance if the store has no batch reads, or if a batch cannot contain the reference', async () => {
    const { reader, reads } = readerWith({ batchSizeOf });
    reader.expect([at('single', 'b'), { store: 'a', ref: { key: 'c', version: '1' } }]);
    await Promise.all([reader.read([at('single', 'a')]), reader.read([at('a', 'a')])]);
    expect(reads).toEqual([['a'], ['a']]);
  });

  it('reports a failed call only to callers that request one of its references', async () => {
    const { reader, release } = readerWith({ batchSizeOf, down: ['a'] });
    expectAll(reader, 'b');
    const [[first], [filled]] = await Promise.all([reader.read([at('a', 'a')]), reader.read([at('a', 'b')])]);
    for (const entry of [first, filled])
      expect(entry?.[1]).toMatchObject({ kind: 'failed', error: { code: 'STORE_UNAVAILABLE' } });
    release();
  });
});

describe('the versions of keys', () => {
  it('asks for the versions of several keys in one call without duplicates, and returns the versions in the order of the keys', async () => {
    const { reader, hints } = readerWith();
    const [first, second] = await Promise.all([
      reader.versions('a', ['x', 'y']),
      reader.versions('a', ['z', 'x']),
    ]);
    expect(first).toEqual(['x', 'y'].map((version) => ({ kind: 'known', version })));
    expect(second).toEqual(['z', 'x'].map((version) => ({ kind: 'known', version })));
    expect(hints).toEqual([['x', 'y', 'z']]);
  });

  it('lets the store look up the recorded versions of its keys', async () => {
    const lastVersions: (string | undefined)[] = [];
    const readers = createSourceReaders({
      open: async () => ({
        read: async () => [],
        find: async () => [],
        async versions(keys, { lastReadVersion } = {}) {
          for (const key of keys) lastVersions.push((await lastReadVersion?.(key))?.version);
          return keys.map(() => ({ kind: 'unknown' }));
        },
      }),
    });
    const reader = readers.reader({
      onRead: async () => undefined,
      lastReadVersion: async (store, key) => ({ version: `${store} ${key}`, stamp: '' }),
    });
    await Promise.all([reader.versions('a', ['x']), reader.versions('b', ['x'])]);
    expect(lastVersions).toEqual(['a x', 'b x']);
  });

  it('does not keep the versions of keys in the memory for values', async () => {
    const { reader, read, reads } = readerWith({ maxBytes: 4 * KIB });
    await read('a');
    await reader.versions(
      'a',
      Array.from({ length: 1_000 }, (_, n) => `key-${n}`),
    );
    reads.length = 0;
    await read('a');
    expect(reads).toEqual([]);
  });

  it('reports versions as unknown if the store cannot be opened', async () => {
    const { reader } = readerWith({ down: ['a'] });
    expect(await reader.versions('a', ['x'])).toEqual([{ kind: 'unknown' }]);
  });
});
