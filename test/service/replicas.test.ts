import { describe, expect, it } from 'vitest';
import { configDigest, Replicas } from '../../src/service/replicas.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { mapping } from '../sync/sample.ts';
import { createFakeBroadcast, START } from './sample.ts';

describe('replicas', () => {
  function openTwo() {
    const clock = createManualTime(START);
    const broadcast = createFakeBroadcast();
    const of = { a: 'one', b: 'one' };
    const open = (replica: 'a' | 'b') =>
      new Replicas({
        broadcast,
        replica,
        clock,
        currentDigest: () => of[replica],
        onOlderReplica: () => undefined,
      });
    return { clock, broadcast, of, a: open('a'), b: open('b') };
  }

  it('replicas learn from announcements whether they all use the same configuration', () => {
    const { of, a, b } = openTwo();
    expect([a.differing(), b.differing()]).toEqual([[], []]);
    of.a = 'another';
    a.announce();
    expect([a.differing(), b.differing()]).toEqual([['b'], ['a']]);
    of.b = 'another';
    b.announce();
    expect([a.differing(), b.differing()]).toEqual([[], []]);
  });

  it.each(['end', 'are killed'])('replicas no longer count once they %s', async (how) => {
    const { clock, of, a, b } = openTwo();
    of.b = 'another';
    b.announce();
    expect(a.differing()).toEqual(['b']);
    if (how === 'end') b[Symbol.dispose]();
    await clock.advance(50_000);
    a.announce();
    expect(a.differing()).toEqual([]);
  });

  it('replicas count only while they send announcements, even if their clock is wrong', async () => {
    const { clock, broadcast, a } = openTwo();
    const behind = START - 600_000;
    broadcast.send('r/late', `${behind} ${behind} another`);
    broadcast.send('r/ended', `${behind} ${behind} another`);
    expect(a.differing()).toEqual([]);
    broadcast.send('r/late', `${behind} ${behind + 10_000} another`);
    expect(a.differing()).toEqual(['late']);
    expect(a.replicas()).not.toContain('ended');
    for (const text of ['no time', 'no time either', '']) broadcast.send('r/unknown', text);
    expect(a.replicas()).not.toContain('unknown');
    await clock.advance(50_000);
    a.announce();
    expect(a.differing()).toEqual([]);
  });

  it('replicas remove the message of a replica that was killed', async () => {
    const { clock, broadcast, a, b } = openTwo();
    broadcast.send('r/killed', `${START - 600_000} ${START - 300_000} one`);
    const stands = (): readonly string[] => {
      const fields: string[] = [];
      broadcast.subscribe((field) => void fields.push(field))();
      return fields.toSorted();
    };
    expect(stands()).toEqual(['r/a', 'r/b', 'r/killed']);
    for (let n = 0; n < 5; n += 1) {
      await clock.advance(10_000);
      for (const presence of [a, b]) presence.announce();
    }
    expect(stands()).toEqual(['r/a', 'r/b']);
    expect(a.replicas()).toEqual(['a', 'b']);
  });

  it('a replica does not count as different if it runs an earlier release, which sends no digest', () => {
    const { broadcast, a } = openTwo();
    broadcast.send('r/c', `${START} ${START}`);
    expect(a.replicas()).toContain('c');
    expect(a.differing()).toEqual([]);
  });
});

describe('configDigest', () => {
  const one = mapping({ name: 'one' });
  const two = mapping({ name: 'two', target: { secret: 'two' } });
  const works = configDigest(['prod'], [one, two]);

  it('the digest ignores the order of mappings and every field that does not select targets', () => {
    expect(configDigest(['prod'], [two, { ...one, refreshMs: 1 }])).toBe(works);
  });

  it.each([
    ['an additional mapping', configDigest(['prod'], [one, two, mapping({ name: 'three' })])],
    ['a removed mapping', configDigest(['prod'], [one])],
    ['another Secret', configDigest(['prod'], [one, mapping({ name: 'two', target: { secret: 'new' } })])],
    [
      'another namespace',
      configDigest(['prod'], [one, mapping({ ...two, target: { ...two.target, namespaces: ['b'] } })]),
    ],
    ['another instance', configDigest(['prod', 'old'], [one, two])],
  ])('the digest changes with %s', (_, other) => {
    expect(other).not.toBe(works);
  });
});
