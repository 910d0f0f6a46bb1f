import { describe, expect, it } from 'vitest';
import type { Source } from '../../src/core/mapping.ts';
import { SourceAges } from '../../src/service/sweep/source-ages.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { source } from '../sync/sample.ts';
import { createClock, wanted } from './sample.ts';

const { mapping } = wanted({ name: 'a', data: { A: source({ key: 'a' }), B: source({ key: 'b' }) } });
const { store } = source({});
const DAY_MS = 86_400_000;

it('a version has the earliest time that was reported for it, and a new version has its own reported time', () => {
  const ages = new SourceAges({ clock: createClock(), logger: silentLogger });
  const changedAt = (version: string, createdAt?: number) => {
    ages.note(store, 'a', { version, createdAt });
    return ages.changedAt(mapping);
  };
  expect(changedAt('1')).toBeUndefined();
  // First, a list reports the time of a tag change. Then a read of the value and another list follow.
  expect(changedAt('1', 500)).toBe(500);
  expect(changedAt('1', 100)).toBe(100);
  expect(changedAt('1', 700)).toBe(100);
  expect(changedAt('1')).toBe(100);
  expect(changedAt('2', 900)).toBe(900);
  // The newest source of a mapping determines the age of the mapping.
  ages.note(store, 'b', { version: '1', createdAt: 950 });
  expect(ages.changedAt(mapping)).toBe(950);
});

it('the age of a source ignores old versions and other objects of the same name', () => {
  const ages = new SourceAges({ clock: createClock(), logger: silentLogger });
  const of = (A: Source) => wanted({ name: 'old', data: { A } }).mapping;
  ages.note(store, 'a', { version: '2', createdAt: 900 });
  const sources = [{ store, key: 'a', version: '1', createdAt: 100 }];
  ages.noteRun(of(source({ key: 'a', version: 'AWSPREVIOUS' })), sources);
  ages.noteRun(of(source({ key: 'a', object: 'certificate' })), sources);
  expect(ages.changedAt(mapping)).toBe(900);
  ages.noteRun(mapping, [{ store, key: 'a', version: '3', createdAt: 950 }]);
  expect(ages.changedAt(mapping)).toBe(950);
});

it('a warning about each source older than `maxAge` is logged once a day', () => {
  const clock = createClock();
  const warned: unknown[] = [];
  const logger = { ...silentLogger, warn: (_: string, fields?: object) => void warned.push(fields) };
  const ages = new SourceAges({ clock, logger });
  const old = { ...mapping, maxAgeMs: DAY_MS };
  ages.note(store, 'a', { version: '1', createdAt: clock.time - DAY_MS - 1 });
  ages.note(store, 'b', { version: '1', createdAt: clock.time - DAY_MS });
  const warnings = [1, 2].map(() => ages.warn([old, { ...mapping, name: 'other' }]));
  const madeAt = clock.time - DAY_MS - 1;
  expect(warnings).toEqual([
    [{ mapping: 'a', store, key: 'a', madeAt, ageMs: DAY_MS + 1, maxAgeMs: DAY_MS }],
    [],
  ]);
  expect(warned).toEqual([{ mapping: 'a', store, key: 'a', durationMs: DAY_MS + 1 }]);
  clock.time += DAY_MS;
  ages.warn([old]);
  expect(warned).toHaveLength(3);
});

describe('the age of a key that a search matches', () => {
  const { mapping: searching } = wanted({
    name: 's',
    data: { A: source({ key: 'a' }) },
    dataFrom: [{ store, find: { path: 'x', tags: {} } }],
  });
  const version = (key: string, createdAt?: number) => ({ store, key, version: '1', createdAt });

  it('the age of a key is tracked while a search matches the key, like the age of a key that a mapping names', () => {
    const ages = new SourceAges({ clock: createClock(), logger: silentLogger });
    expect(ages.changedAt(searching)).toBeUndefined();
    ages.noteRun(searching, [version('a', 100), version('x/1', 200), version('x/2')]);
    expect(ages.changedAt(searching)).toBe(200);
    // Later reports about the key, from a list or a read, take effect immediately.
    ages.note(store, 'x/1', { version: '2', createdAt: 300 });
    expect(ages.changedAt(searching)).toBe(300);
    ages.noteRun(searching, [version('a', 100)]);
    expect(ages.changedAt(searching)).toBe(100);
  });

  it('an old key that a search matches causes a warning, and its age is forgotten when the mapping is removed', () => {
    const clock = createClock();
    const warned: unknown[] = [];
    const logger = { ...silentLogger, warn: (_: string, fields?: object) => void warned.push(fields) };
    const ages = new SourceAges({ clock, logger });
    const old = { ...searching, maxAgeMs: DAY_MS };
    ages.noteRun(old, [version('x/1', clock.time - DAY_MS - 1)]);
    ages.warn([old]);
    expect(warned).toEqual([{ mapping: 's', store, key: 'x/1', durationMs: DAY_MS + 1 }]);
    ages.warn([]);
    expect(ages.changedAt(old)).toBeUndefined();
  });
});
