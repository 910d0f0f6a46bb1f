import { describe, expect, it } from 'vitest';
import { createPresence, configDigest } from '../../src/service/presence.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { mapping } from '../sync/sample.ts';
import { createFakeNotices, START } from './sample.ts';

describe('replicas', () => {
  function openTwo() {
    const clock = createManualTime(START);
    const notices = createFakeNotices();
    const of = { a: 'one', b: 'one' };
    const open = (replica: 'a' | 'b') =>
      createPresence({
        broadcast: notices,
        replica,
        clock,
        currentDigest: () => of[replica],
        onOlderReplica: () => undefined,
      });
    return { clock, notices, of, a: open('a'), b: open('b') };
  }

  it('know of each other whether they work by the same, as soon as one says so', () => {
    const { of, a, b } = openTwo();
    expect([a.differing(), b.differing()]).toEqual([[], []]);
    of.a = 'another';
    a.announce();
    expect([a.differing(), b.differing()]).toEqual([['b'], ['a']]);
    of.b = 'another';
    b.announce();
    expect([a.differing(), b.differing()]).toEqual([[], []]);
  });

  it.each(['end', 'are killed'])('that %s have no say', async (how) => {
    const { clock, of, a, b } = openTwo();
    of.b = 'another';
    b.announce();
    expect(a.differing()).toEqual(['b']);
    if (how === 'end') b[Symbol.dispose]();
    await clock.advance(50_000);
    a.announce();
    expect(a.differing()).toEqual([]);
  });

  it('whose clock is wrong are heard when they go on speaking, and what an ended one left is not', async () => {
    const { clock, notices, a } = openTwo();
    const behind = START - 600_000;
    notices.publish('r/late', `${behind} ${behind} another`);
    notices.publish('r/ended', `${behind} ${behind} another`);
    expect(a.differing()).toEqual([]);
    notices.publish('r/late', `${behind} ${behind + 10_000} another`);
    expect(a.differing()).toEqual(['late']);
    expect(a.replicas()).not.toContain('ended');
    for (const text of ['no time', 'none either', '']) notices.publish('r/stranger', text);
    expect(a.replicas()).not.toContain('stranger');
    await clock.advance(50_000);
    a.announce();
    expect(a.differing()).toEqual([]);
  });

  it('that were killed while no other was there leave nothing behind', async () => {
    const { clock, notices, a, b } = openTwo();
    notices.publish('r/killed', `${START - 600_000} ${START - 300_000} one`);
    const stands = (): readonly string[] => {
      const fields: string[] = [];
      notices.subscribe((field) => void fields.push(field))();
      return fields.toSorted();
    };
    expect(stands()).toEqual(['r/a', 'r/b', 'r/killed']);
    for (let n = 0; n < 5; n += 1) {
      await clock.advance(10_000);
      for (const it of [a, b]) it.announce();
    }
    expect(stands()).toEqual(['r/a', 'r/b']);
    expect(a.replicas()).toEqual(['a', 'b']);
  });

  it('of an earlier release, which do not say, hold up nobody', () => {
    const { notices, a } = openTwo();
    notices.publish('r/c', `${START} ${START}`);
    expect(a.replicas()).toContain('c');
    expect(a.differing()).toEqual([]);
  });
});

describe('what a replica works by', () => {
  const one = mapping({ name: 'one' });
  const two = mapping({ name: 'two', target: { secret: 'two' } });
  const works = configDigest(['prod'], [one, two]);

  it('is the same whatever the order, and whatever does not say which targets there are', () => {
    expect(configDigest(['prod'], [two, { ...one, refreshMs: 1 }])).toBe(works);
  });

  it.each([
    ['a mapping more', configDigest(['prod'], [one, two, mapping({ name: 'three' })])],
    ['a mapping less', configDigest(['prod'], [one])],
    ['another Secret', configDigest(['prod'], [one, mapping({ name: 'two', target: { secret: 'new' } })])],
    [
      'another namespace',
      configDigest(['prod'], [one, mapping({ ...two, target: { ...two.target, namespaces: ['b'] } })]),
    ],
    ['another instance', configDigest(['prod', 'old'], [one, two])],
  ])('is another with %s', (_, other) => {
    expect(other).not.toBe(works);
  });
});
