import { describe, expect, it } from 'vitest';
import type { Source } from '../../src/core/mapping.ts';
import { silentLogger } from '../../src/log/logger.ts';
import { createSourceAges } from '../../src/service/sweep/source-ages.ts';
import { source } from '../sync/sample.ts';
import { createClock, wanted } from './sample.ts';

const { mapping } = wanted({ name: 'a', data: { A: source({ key: 'a' }), B: source({ key: 'b' }) } });
const { store } = source({});
const DAY_MS = 86_400_000;

it('the age of a value is the earliest that is told of its version, and another version has its own', () => {
  const ages = createSourceAges({ clock: createClock(), logger: silentLogger });
  const changedAt = (version: string, createdAt?: number) => {
    ages.note(store, 'a', { version, createdAt });
    return ages.changedAt(mapping);
  };
  expect(changedAt('1')).toBeUndefined();
  // By a list, after the tags were changed; then by the value itself, and by a list once more.
  expect(changedAt('1', 500)).toBe(500);
  expect(changedAt('1', 100)).toBe(100);
  expect(changedAt('1', 700)).toBe(100);
  expect(changedAt('1')).toBe(100);
  expect(changedAt('2', 900)).toBe(900);
  // Of a mapping the source counts that was changed last.
  ages.note(store, 'b', { version: '1', createdAt: 950 });
  expect(ages.changedAt(mapping)).toBe(950);
});

it('the age of an old version, or of another object of that name, is none of the value', () => {
  const ages = createSourceAges({ clock: createClock(), logger: silentLogger });
  const of = (A: Source) => wanted({ name: 'old', data: { A } }).mapping;
  ages.note(store, 'a', { version: '2', createdAt: 900 });
  const told = [{ store, key: 'a', version: '1', createdAt: 100 }];
  ages.noteRun(of(source({ key: 'a', version: 'AWSPREVIOUS' })), told);
  ages.noteRun(of(source({ key: 'a', object: 'certificate' })), told);
  expect(ages.changedAt(mapping)).toBe(900);
  ages.noteRun(mapping, [{ store, key: 'a', version: '3', createdAt: 950 }]);
  expect(ages.changedAt(mapping)).toBe(950);
});

it('warns once a day of each source that is older than `maxAge`', () => {
  const clock = createClock();
  const warned: unknown[] = [];
  const logger = { ...silentLogger, warn: (_: string, fields?: object) => void warned.push(fields) };
  const ages = createSourceAges({ clock, logger });
  const old = { ...mapping, maxAgeMs: DAY_MS };
  ages.note(store, 'a', { version: '1', createdAt: clock.time - DAY_MS - 1 });
  ages.note(store, 'b', { version: '1', createdAt: clock.time - DAY_MS });
  const told = [1, 2].map(() => ages.warn([old, { ...mapping, name: 'other' }]));
  const madeAt = clock.time - DAY_MS - 1;
  expect(told).toEqual([
    [{ mapping: 'a', store, key: 'a', madeAt, ageMs: DAY_MS + 1, maxAgeMs: DAY_MS }],
    [],
  ]);
  expect(warned).toEqual([{ mapping: 'a', store, key: 'a', durationMs: DAY_MS + 1 }]);
  clock.time += DAY_MS;
  ages.warn([old]);
  expect(warned).toHaveLength(3);
});

describe('the age of what a search finds', () => {
  const { mapping: searching } = wanted({
    name: 's',
    data: { A: source({ key: 'a' }) },
    dataFrom: [{ store, find: { path: 'x', tags: {} } }],
  });
  const told = (key: string, createdAt?: number) => ({ store, key, version: '1', createdAt });

  it('counts as that of what the mapping names, as long as it is found', () => {
    const ages = createSourceAges({ clock: createClock(), logger: silentLogger });
    expect(ages.changedAt(searching)).toBeUndefined();
    ages.noteRun(searching, [told('a', 100), told('x/1', 200), told('x/2')]);
    expect(ages.changedAt(searching)).toBe(200);
    // What is noted of a key later, by a list or a read, is known at once.
    ages.note(store, 'x/1', { version: '2', createdAt: 300 });
    expect(ages.changedAt(searching)).toBe(300);
    ages.noteRun(searching, [told('a', 100)]);
    expect(ages.changedAt(searching)).toBe(100);
  });

  it('is warned of, and forgotten with its mapping', () => {
    const clock = createClock();
    const warned: unknown[] = [];
    const logger = { ...silentLogger, warn: (_: string, fields?: object) => void warned.push(fields) };
    const ages = createSourceAges({ clock, logger });
    const old = { ...searching, maxAgeMs: DAY_MS };
    ages.noteRun(old, [told('x/1', clock.time - DAY_MS - 1)]);
    ages.warn([old]);
    expect(warned).toEqual([{ mapping: 's', store, key: 'x/1', durationMs: DAY_MS + 1 }]);
    ages.warn([]);
    expect(ages.changedAt(old)).toBeUndefined();
  });
});
