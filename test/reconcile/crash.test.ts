import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { crashAt } from '../fakes/faulty.ts';
import { base64, openWorld, type World } from './world.ts';

// The mappings cause every kind of write: creation, update, update of only the annotations, and adoption.
const MAPPINGS = `
  - name: created
    target: { namespace: apps }
    data: { TOKEN: { store: vault, key: token } }
  - name: updated
    target: { namespace: apps }
    data: { PASSWORD: { store: vault, key: db, property: password } }
  - name: annotated
    target: { namespace: apps }
    data: { USER: { store: vault, key: db, property: user } }
  - name: adopted
    target: { namespace: apps }
    onConflict: adopt
    data: { TOKEN: { store: vault, key: token } }
`;

const id = (secret: string) => ({ namespace: 'apps', secret });

/**
 * At first, two targets have content from older source versions. The next run writes all four targets, one at a time.
 */
async function openBefore(): Promise<World> {
  const world = await openWorld({ mappings: MAPPINGS, more: 'engine: { kind: memory, concurrency: 1 }' });
  await world.sync(undefined, { only: 'updated' });
  await world.sync(undefined, { only: 'annotated' });
  world.cluster.put(id('adopted'), { data: { THEIRS: base64('1') } });
  world.store.put('db', '{"user":"ann","password":"second"}', '2');
  return world;
}

/**
 * Asserts that every target has its content, that every change has exactly one record, and that every intent has an
 * outcome.
 */
async function expectWhole(world: World, message: string): Promise<void> {
  const data = (secret: string) => world.cluster.raw(id(secret))?.data;
  expect(data('created'), message).toEqual({ TOKEN: base64('tok') });
  expect(data('updated'), message).toEqual({ PASSWORD: base64('second') });
  expect(data('annotated'), message).toEqual({ USER: base64('ann') });
  expect(data('adopted'), message).toEqual({ TOKEN: base64('tok') });

  const records = world.records;
  const outcomes = records.filter(({ phase, outcome }) => phase === 'outcome' && outcome === 'ok');
  const recorded = outcomes.map(({ secret, resourceVersion }) => `${secret} ${resourceVersion}`);
  expect(new Set(recorded).size, `${message}: each change once`).toBe(recorded.length);
  expect(recorded.toSorted(), message).toEqual(world.changes.toSorted());
  expect(openIntents(records), message).toEqual([]);
  expect(await world.chain(), message).toMatchObject({ kind: 'intact', records: records.length });
}

function openIntents(records: readonly AuditRecord[]): readonly string[] {
  const key = ({ requestId, namespace, secret, attempt }: AuditRecord) =>
    JSON.stringify([requestId, namespace, secret, attempt]);
  const closed = new Set(records.filter(({ phase }) => phase === 'outcome').map(key));
  return records
    .filter(({ phase }) => phase === 'intent')
    .map(key)
    .filter((intent) => !closed.has(intent));
}

describe('crash recovery', () => {
  it('crash recovery repairs and records all targets in the next run, whichever step the crash interrupted', async () => {
    const whole = crashAt(0);
    const calm = await openBefore();
    await calm.sync(whole.watch);
    await expectWhole(calm, 'without a crash');
    expect(whole.steps.filter((step) => step.startsWith('before cluster.'))).toHaveLength(8);

    for (let step = 1; step <= whole.steps.length; step += 1) {
      const message = `crash at step ${step}: ${whole.steps[step - 1]}`;
      const world = await openBefore();
      await crashed(world, step);
      await world.sync();
      await expectWhole(world, message);
      const { length } = world.records;
      await world.sync();
      expect(world.story(length), message).toEqual(['command sync ok', 'sweep ok']);
    }
    console.log(`${whole.steps.length} crashes`);
  }, 60_000);

  it('crash recovery survives a crash at any step of the recovery itself', async () => {
    const steps = await stepsOf('after cluster.replace');
    for (const first of steps) {
      for (let second = 1; second <= 6; second += 1) {
        const world = await openBefore();
        await crashed(world, first);
        await crashed(world, second);
        await world.sync();
        await expectWhole(world, `crash at step ${first}, then at step ${second}`);
      }
    }
  }, 60_000);
});

async function crashed(world: World, step: number): Promise<void> {
  const crash = crashAt(step);
  await world.sync(crash.watch).catch((thrown: unknown) => expect(thrown).toBeInstanceOf(Error));
  expect(crash.steps).toHaveLength(step);
}

async function stepsOf(name: string): Promise<readonly number[]> {
  const whole = crashAt(0);
  const world = await openBefore();
  await world.sync(whole.watch);
  return [...whole.steps.entries()].flatMap(([at, step]) => (step === name ? [at + 1] : []));
}
