import { describe, expect, it } from 'vitest';
import { within } from '../../integration/service/service-process.ts';
import { base64, type WorldOptions } from '../../integration/service/world.ts';
import { redis } from '../../integration/services/inject.ts';
import { mappingOf, openTeams } from '../teams.ts';

// A tenant has far more mappings than its store can read within their refresh. Another tenant uses the same store.

interface Flood {
  readonly mappings: number;
  /** What the operator allows the flooding tenant. */
  readonly limits: string;
  readonly options: () => Partial<WorldOptions>;
}

const UNLIMITED = 'mappings: 2000, refresh: 1s, callsPerMinute: 1000000';
/** The refresh of the other tenant, and ten seconds more. */
const MAX_LAG_MS = 12_000;

async function measureLag({ mappings, limits, options }: Flood): Promise<number> {
  const names = Array.from({ length: mappings }, (_, index) => `flood${index}`);
  await using teams = await openTeams(
    {
      a: (world) => names.map((name) => mappingOf(world, 'a', name, ', refresh: 1s')).join(''),
      b: (world) => mappingOf(world, 'b', 'theirs', ', refresh: 2s'),
    },
    limits,
    options(),
  );
  const { world } = teams;
  await Promise.all(['theirs', ...names].map((name) => world.vault.put(name, { a: 'first' })));
  await using _ = await world.serve('--grace', '1s');
  const arrived = (value: string) =>
    within(60_000, async () => expect((await world.secret('theirs', 'b'))?.data?.A).toBe(base64(value)));
  const first = await arrived('first');
  await world.vault.put('theirs', { a: 'second' });
  const second = await arrived('second');
  console.log(
    `${mappings} mappings: the first value arrived after ${first} ms, the next one after ${second} ms`,
  );
  return Math.max(first, second);
}

describe('a tenant that floods its store', () => {
  it('does not delay another tenant of the same store, with Redis', async () => {
    const slowStore = () => ({ requestsPerSecond: 20, redisUrl: redis().url });
    const lag = await measureLag({ mappings: 280, limits: UNLIMITED, options: slowStore });
    expect(lag).toBeLessThan(MAX_LAG_MS);
  });

  it.each(['', UNLIMITED])(
    'does not delay another tenant by 1,500 mappings with the limits { %s }',
    {
      tags: ['long'],
    },
    async (limits) => {
      const lag = await measureLag({ mappings: 1_500, limits, options: () => ({ redisUrl: redis().url }) });
      expect(lag).toBeLessThan(MAX_LAG_MS);
    },
  );
});
