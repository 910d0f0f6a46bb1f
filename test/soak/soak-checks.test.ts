import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/entry.ts';
import type { Trigger } from './changes.ts';
import { judgeContent } from './contents.ts';
import type { Fault } from './faults.ts';
import { isUnpinned, judgePins } from './pinning.ts';
import { judgeRemovals } from './second-sources.ts';
import { distribution, slope } from './stats.ts';
import { judgeTriggers } from './triggers.ts';
import type { Change } from './witness.ts';
import { createWorld, expectedData, type Item, KINDS, secondKey, versionIn } from './world.ts';
import { judgeWrites, type Write } from './writes.ts';

const TARGET = 'a/s';

function write(verb: string, replaces?: string): Write {
  return { verb, target: TARGET, at: 1, replaces };
}

function change(resourceVersion: string, overrides: Partial<Change> = {}): Change {
  return {
    type: 'MODIFIED',
    target: TARGET,
    resourceVersion,
    at: 1,
    version: 1,
    content: `content of ${resourceVersion}`,
    ...overrides,
  };
}

function pair(resourceVersion: string, requestId: string): readonly AuditRecord[] {
  const both = {
    requestId,
    action: 'update',
    mapping: 's',
    namespace: 'a',
    secret: 's',
    attempt: 1,
    outcome: 'ok',
  };
  return [
    { ...both, phase: 'intent' },
    { ...both, phase: 'outcome', resourceVersion },
  ] as unknown as readonly AuditRecord[];
}

const SOUND = {
  writes: [write('create'), write('update', '1')],
  changes: [change('1', { type: 'ADDED' }), change('2')],
  records: [...pair('1', 'x'), ...pair('2', 'y')],
  others: new Set<string>(),
  deletedByOthers: new Map<string, number>(),
};

describe('judgeWrites', () => {
  it('reports nothing when all three logs agree', () => {
    expect(judgeWrites(SOUND).findings).toEqual([]);
  });

  it('ignores changes that other programs made', () => {
    const changes = [...SOUND.changes, change('3'), change('4', { type: 'DELETED' })];
    const deletedByOthers = new Map([[TARGET, 1]]);
    expect(judgeWrites({ ...SOUND, changes, others: new Set(['3']), deletedByOthers }).findings).toEqual([]);
  });

  it.each([
    [
      'a write without a record',
      { writes: [...SOUND.writes, write('update')], changes: [...SOUND.changes, change('3')] },
    ],
    ['a record without a write', { records: [...SOUND.records, ...pair('3', 'z')] }],
    ['a write with two records', { records: [...SOUND.records, ...pair('2', 'z')] }],
    ['a write that changed nothing', { writes: [...SOUND.writes, write('update')] }],
    ['an outcome without an intent', { records: SOUND.records.slice(1) }],
    ['an intent without an outcome', { records: SOUND.records.slice(0, -1) }],
    [
      'a second write of the same content',
      { changes: [change('1', { type: 'ADDED', content: 'same' }), change('2', { content: 'same' })] },
    ],
  ])('finds %s', (_, overrides) => {
    expect(judgeWrites({ ...SOUND, ...overrides }).findings).not.toEqual([]);
  });
});

const ITEM: Item = { name: 's', kind: 'plain', store: 'vault', key: 'k', refreshMs: 60_000, swapped: false };

function trigger(kind: Trigger['kind']): Trigger {
  return { kind, target: TARGET, item: ITEM, at: 1_000_000, version: 2 };
}

function judge(kind: Trigger['kind'], answeredAfterMs: number, faults: readonly Fault[] = []) {
  const answer = change('9', { at: 1_000_000 + answeredAfterMs, version: 2 });
  return judgeTriggers([trigger(kind)], [change('8', { at: 999_000 }), answer], new Set(), faults);
}

describe('judgeTriggers', () => {
  it.each([
    ['rotation', 70_000, 0],
    ['rotation', 90_000, 1],
    ['edited', 4_000, 0],
    ['edited', 6_000, 1],
  ] as const)('classifies a reaction to "%s" after %i ms (late reactions: %i)', (kind, ms, late) => {
    expect(judge(kind, ms).late).toHaveLength(late);
  });

  it('measures reaction times from the end of overlapping faults', () => {
    const fault: Fault = { name: 'f', startedAt: 1_000_000, endedAt: 1_100_000 };
    expect(judge('edited', 130_000, [fault]).late).toEqual([]);
    expect(judge('edited', 170_000, [fault]).late).toHaveLength(1);
    expect(judge('edited', 130_000, [fault]).afterFaults.max).toBe(30_000);
  });

  it('counts neither an older value nor a change by another program as a reaction', () => {
    const old = change('9', { at: 1_000_001, version: 1 });
    const ours = change('10', { at: 1_000_002, version: 2 });
    expect(judgeTriggers([trigger('rotation')], [old, ours], new Set(['10']), []).lost).toHaveLength(1);
  });
});

describe('the world', () => {
  const world = createWorld(2_000, 'marker');

  it('the generated mappings include every kind, and have unique names', () => {
    const kinds = Map.groupBy(world.items, ({ kind }) => kind);
    expect([...kinds.keys()].sort()).toEqual([...KINDS].sort());
    expect(new Set(world.items.map(({ name }) => name)).size).toBe(world.items.length);
    expect(world.items).toHaveLength(500);
  });

  it('recognizes the source version from the data of a Secret', () => {
    for (const item of world.items.slice(0, 100)) {
      const encode = (data: Record<string, string>) =>
        Object.fromEntries(
          Object.entries(data).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
        );
      const data = encode(expectedData(world, item, 12));
      expect(versionIn(world, item, data)).toBe(12);
      const [first = ''] = Object.keys(data);
      expect(versionIn(world, item, { ...data, [first]: 'b29wcw==' })).toBeUndefined();
      if (item.kind !== 'merge') expect(versionIn(world, item, { ...data, MORE: '' })).toBeUndefined();
    }
  });
});

describe('statistics', () => {
  it('computes percentiles by nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, n) => 100 - n);
    expect(distribution(values)).toEqual({ count: 100, p50: 50, p95: 95, p99: 99, max: 100 });
    expect(distribution([])).toEqual({ count: 0, p50: 0, p95: 0, p99: 0, max: 0 });
  });

  it('computes the slope of a line through points', () => {
    expect(
      slope([
        [0, 5],
        [10, 25],
        [20, 45],
      ]),
    ).toBeCloseTo(2);
    expect(slope([[1, 1]])).toBe(0);
  });
});

describe('the content checks', () => {
  const world = createWorld(2_000, 'marker');
  const nameOf = (kind: Item['kind']) => world.items.find((item) => item.kind === kind)?.name ?? '';
  const noOthers = new Set<string>();

  it('reports a target whose data a replica corrupted, and a target that a replica deleted', () => {
    const target = `a/${nameOf('plain')}`;
    const changes = [
      change('1', { target, type: 'ADDED' }),
      change('2', { target, version: undefined }),
      change('3', { target, version: undefined }),
      change('4', { target, type: 'DELETED', version: undefined }),
      change('5', { target, type: 'DELETED', version: undefined }),
    ];
    const otherChanges = { written: new Set(['2']), deleted: new Map([[target, 1]]) };
    expect(judgeContent(changes, world.items, otherChanges)).toEqual([
      `${target}: the data of 3 matches no source version`,
      `${target}: deleted at 5`,
    ]);
    const swapped = world.items.find((item) => item.swapped)?.name;
    const deletion = [change('1', { target: `a/${swapped}`, type: 'DELETED', version: undefined })];
    expect(judgeContent(deletion, world.items, otherChanges)).toEqual([]);
  });

  it('reports a key that was removed before its source was absent for long enough', () => {
    const item = world.items.find(({ kind }) => kind === 'partial');
    const target = `a/${item?.name}`;
    const key = item === undefined ? '' : secondKey(item);
    const removed = (at: number) =>
      judgeRemovals(
        [change('1', { target, more: 1 }), change('2', { target, at })],
        world.items,
        [{ key, from: 1_000_000, until: 1_100_000 }],
        noOthers,
      );
    expect(removed(1_019_000)).toHaveLength(1);
    expect(removed(1_021_000)).toEqual([]);
    expect(removed(1_180_000)).toEqual([]);
    expect(removed(1_200_000)).toHaveLength(1);
  });

  it('recognizes a successful unpin whose answer was lost', () => {
    expect(isUnpinned({ status: 200, body: {} })).toBe(true);
    expect(isUnpinned({ status: 409, body: { code: 'NOT_PINNED' } })).toBe(true);
    expect(isUnpinned({ status: 404, body: { code: 'NOT_FOUND' } })).toBe(false);
  });

  it('reports a write that changes the version of a pinned target', () => {
    const pinned = [{ target: TARGET, version: 2, from: 1_000, until: 60_000 }];
    const moved = (at: number, version: number) => judgePins([change('1', { at, version })], pinned);
    expect(moved(20_000, 2)).toEqual([]);
    expect(moved(2_000, 3)).toEqual([]);
    expect(moved(20_000, 3)).toHaveLength(1);
    expect(moved(60_001, 3)).toEqual([]);
  });
});
