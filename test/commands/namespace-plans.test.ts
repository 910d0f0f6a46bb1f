import { describe, expect, it } from 'vitest';
import { openWorld } from '../reconcile/world.ts';
import { serve } from '../service/serving.ts';

const MAPPINGS = `
  - name: both
    target: { namespaces: [shop, other] }
    data: { T: { store: vault, key: token } }
  - name: taken
    target: { namespace: shop }
    data: { T: { store: vault, key: taken } }
  - name: elsewhere
    target: { namespace: other }
    data: { T: { store: vault, key: elsewhere } }`;
const ANN = { name: 'ann' };
const MARKER = 'marker-value-of-a-plan';

async function openPlanned(mappings = MAPPINGS) {
  const world = await openWorld({ mappings, cluster: { namespaces: ['shop', 'other'] } });
  for (const key of ['token', 'taken', 'elsewhere']) world.store.put(key, 'first', '1');
  await world.sync();
  return world;
}

describe('the plan of a namespace', () => {
  it('shows what would change there, reads only its sources, and changes nothing', async () => {
    const world = await openPlanned();
    await using serving = await serve(world);
    expect(await serving.service.plan('shop', ANN, 'r1')).toMatchObject({ changes: 0 });
    world.store.put('token', MARKER, '2');
    await world.clock.advance(15_000);
    const reads = world.store.reads.length;
    const plan = await serving.service.plan('shop', ANN, 'r2');
    expect(plan).toMatchObject({
      changes: 1,
      targets: [
        { mapping: 'both', namespace: 'shop', action: 'update', keys: [{ name: 'T', action: 'change' }] },
        { mapping: 'taken', action: 'unchanged' },
      ],
    });
    expect(JSON.stringify(plan)).not.toContain(MARKER);
    expect(world.store.reads.slice(reads)).not.toContain('elsewhere');
    // The service may have made this change by itself meanwhile. The plan made none.
    const records = world.records.filter(({ requestId }) => requestId === 'r2');
    expect(records.filter(({ phase }) => phase !== undefined)).toEqual([]);
    expect(records.map(({ note }) => note)).toContain('plan --namespace shop');
  });

  it('is made once for requests at the same time and soon after', async () => {
    const world = await openPlanned();
    await using serving = await serve(world);
    const plans = await Promise.all(['r1', 'r2'].map((id) => serving.service.plan('shop', ANN, id)));
    expect(plans[0]).toBe(plans[1]);
    expect(await serving.service.plan('shop', ANN, 'r3')).toBe(plans[0]);
    await world.clock.advance(15_000);
    expect(await serving.service.plan('shop', ANN, 'r4')).not.toBe(plans[0]);
  });

  it('costs nothing for an unknown namespace', async () => {
    const world = await openPlanned();
    await using serving = await serve(world);
    const { length } = world.records;
    expect(await serving.service.plan('unknown', ANN, 'r1')).toEqual({ changes: 0, targets: [] });
    expect(world.records).toHaveLength(length);
  });

  it('is refused for too many targets', async () => {
    const many = Array.from(
      { length: 501 },
      (_, index) => `
  - name: m${index}
    target: { namespace: shop }
    data: { T: { store: vault, key: token } }`,
    );
    const world = await openWorld({ mappings: many.join(''), cluster: { namespaces: ['shop'] } });
    await using serving = await serve(world);
    await expect(serving.service.plan('shop', ANN, 'r1')).rejects.toMatchObject({ code: 'LIMIT_REACHED' });
  });
});
