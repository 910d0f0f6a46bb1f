import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import type { LoadResult } from '../../src/config/check-documents.ts';
import { createParsedFiles, type ParsedFiles } from '../../src/config/files/parsing.ts';
import { loadConfig } from '../../src/config/load.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createSourceReaders } from '../../src/providers/source-reader.ts';
import { createValueCache } from '../../src/providers/value-cache.ts';
import { HEAD, memoryFs } from '../config/memory-fs.ts';
import { openWorld } from '../reconcile/world.ts';
import { type Serving, serve } from './serving.ts';

const KEYS = ['HOST', 'USER', 'PASSWORD', 'TOKEN', 'CERTIFICATE'];
const [FEW, MANY] = [30, 130];
const SECTIONS = 'defaults: { refresh: 10s }\n';

const DATA_SPACES = ['new_space', 'old_space', 'large_object_space', 'new_large_object_space'];

/** Returns a function that returns the size of the heap without garbage and without code, in bytes. */
function createHeapSize(): () => number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as NodeJS.GCFunction;
  setFlagsFromString('--no-expose-gc');
  return () => {
    for (let round = 0; round < 2; round += 1) collect({ type: 'major', execution: 'sync' });
    const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => DATA_SPACES.includes(name));
    return spaces.reduce((sum, { space_used_size: bytes }) => sum + bytes, process.memoryUsage().external);
  };
}

interface Measured {
  readonly loaded: LoadResult;
  readonly parsed: ParsedFiles;
  readonly serving: Serving;
  readonly bytes: number;
}

/** Starts a service whose targets exist. Returns what it keeps in memory after a run and a sweep of each target. */
async function measure(targets: number, heapSize: () => number): Promise<Measured> {
  const keyOf = (n: number, key: string) => `apps/app-${n}/${key.toLowerCase()}`;
  const mapping = (n: number) => `
  - name: app-${n}
    target: { namespace: apps }
    data:${KEYS.map((key) => `\n      ${key}: { store: vault, key: ${keyOf(n, key)} }`).join('')}`;
  const mappings = Array.from({ length: targets }, (_, n) => mapping(n)).join('');
  const world = await openWorld({ mappings, more: SECTIONS });
  for (let n = 0; n < targets; n += 1)
    for (const key of KEYS) world.store.put(keyOf(n, key), `${n}`, `1b671a64-40d5-491e-99b0-da01ff${n}`);
  // The fakes of the cluster and the audit keep all Secrets and records.
  await world.sync();
  const store = 'stores: [ { name: vault, kind: files, path: ./store } ]';
  const text = `${HEAD}${SECTIONS}${store}\nmappings:${mappings}\n`;
  const readFs = memoryFs({ '/home/ann/secretbridge.yaml': Buffer.from(text) });
  const before = heapSize();

  const parsed = createParsedFiles();
  const loaded = await loadConfig({ paths: [], env: {}, cwd: '/home/ann', readFs, parsed });
  const serving = await serve(world);
  const { controller } = serving;
  await world.clock.advance(1_000);
  for (const desired of controller.snapshot().targets) await controller.request(desired, 'request');
  await world.clock.advance(1_000);
  await expect.poll(() => [...controller.states.all()].length).toBe(targets);
  const { shards } = controller.snapshot();
  await expect
    .poll(async () => {
      await world.clock.advance(1_000);
      return [...controller.states.sweeps()].length;
    })
    .toBe(shards.size);
  // End the jobs and the watches. Running jobs keep values, which are not a part of the state.
  await controller.applyConfigChange({ mappings: new Set(), all: false, isAddition: true });
  await serving[Symbol.asyncDispose]();
  world.store.reads.length = 0;
  await nextTurn();
  return { loaded, parsed, serving, bytes: heapSize() - before };
}

it('a target with five keys of its own takes at most 4 KiB of memory', async () => {
  const heapSize = createHeapSize();
  // The first service loads code. The service itself takes memory too, so compare two sizes.
  const all: Measured[] = [];
  for (const targets of [20, FEW, MANY]) all.push(await measure(targets, heapSize));
  const [, few, many] = all.map(({ bytes }) => bytes);
  const perTarget = ((many ?? 0) - (few ?? 0)) / (MANY - FEW);
  for (const { loaded, parsed, serving } of all) {
    expect(loaded.kind).toBe('usable');
    // What is measured must still be in use.
    expect([parsed, serving]).toHaveLength(2);
  }
  expect(perTarget).toBeGreaterThan(1024);
  expect(perTarget).toBeLessThan(4 * 1024);
});

it('the values that a process keeps for a while take at most 8 MiB of memory, also if they are small', async () => {
  const heapSize = createHeapSize();
  const cache = createValueCache({ now: Date.now, maxAgeMs: 60_000 });
  const before = heapSize();
  const mark = cache.mark();
  for (let n = 0; n < 20_000; n += 1)
    await cache.get(
      `aws/apps/app-${n}/token`,
      { mark },
      {
        request: async () => ({
          value: SecretValue.fromText(`1b671a64-40d5-491e-99b0-da01ff${n}`),
          version: `${n}`,
        }),
        sizeOf: () => 36,
      },
    );
  await nextTurn();
  const bytes = heapSize() - before;
  expect(cache.has('aws/apps/app-19999/token', { mark })).toBe(true);
  expect(bytes).toBeGreaterThan(2 * 2 ** 20);
  expect(bytes).toBeLessThan(8 * 2 ** 20);
});

it('a check of the versions of many keys takes at most 256 bytes of memory for each key', async () => {
  const heapSize = createHeapSize();
  const keys = Array.from({ length: 20_000 }, (_, n) => `apps/app-${n}/token`);
  let during = 0;
  const readers = createSourceReaders({
    open: async () => ({
      read: async () => [],
      find: async () => [],
      async versions(names) {
        during = heapSize();
        return names.map(() => ({ kind: 'unknown' }));
      },
    }),
  });
  const reader = readers.reader({ onRead: async () => undefined });
  const before = heapSize();
  expect(await reader.versions('aws', keys)).toHaveLength(keys.length);
  expect((during - before) / keys.length).toBeLessThan(256);
});
