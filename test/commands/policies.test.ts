import { describe, expect, it } from 'vitest';
import { planTargets } from '../../src/commands/plan.ts';
import { almostProve, exists } from '../reconcile/destruction.ts';
import { APPS_DB, APPS_TOKEN, base64, DB_ONLY, openWorld, TWO_MAPPINGS } from '../reconcile/world.ts';
import { serve } from '../service/serving.ts';

const DAY_MS = 86_400_000;
const policies = (rules: string) => `policies: [ { namespaces: [apps], ${rules} } ]`;
const NO_TOKENS = policies("keyName: '^(USER|PASSWORD)$'");
const SPREAD = DB_ONLY.replace(/data:[\s\S]*/, 'dataFrom: [ { store: vault, key: db } ]\n');

describe('policies', () => {
  it('a target that violates a policy is refused without a read, the others are written, with one record', async () => {
    const world = await openWorld({ mappings: TWO_MAPPINGS, more: NO_TOKENS });
    const report = await world.sync();
    expect(report).toMatchObject({ ok: false, summary: { created: 1, refused: 1 } });
    expect(report.targets[1]).toMatchObject({
      kind: 'refused',
      mapping: 'token',
      error: { code: 'POLICY_VIOLATED' },
    });
    expect(world.store.reads).not.toContain('token');
    await world.sync();
    expect(world.records.filter(({ code }) => code === 'POLICY_VIOLATED')).toMatchObject([
      { action: 'refuse', outcome: 'refused', mapping: 'token', namespace: 'apps', secret: 'token' },
    ]);
    await using process = await world.start();
    expect((await planTargets(process.app)).targets).toMatchObject([
      { action: 'unchanged' },
      { action: 'refuse', error: { code: 'POLICY_VIOLATED' } },
    ]);
  });

  it('keys that only a read shows are checked before the write', async () => {
    const world = await openWorld({ mappings: SPREAD, more: policies("keyName: '^[a-z]+$'") });
    expect(await world.sync()).toMatchObject({ summary: { created: 1 } });
    world.store.put('db', '{"user":"ann","PASSWORD":"second"}', '2');
    const report = await world.sync();
    expect(report.targets).toMatchObject([{ kind: 'refused', error: { code: 'POLICY_VIOLATED' } }]);
    expect(report.targets[0]?.error?.message).toContain('key PASSWORD must match');
    expect(world.cluster.raw(APPS_DB)?.data).toEqual({ user: base64('ann'), password: base64('first') });
  });

  it('a Secret that was written before the policy stays, also if its source goes away', async () => {
    const world = await openWorld({
      mappings: TWO_MAPPINGS.replaceAll('    data:', '    onSourceMissing: delete\n    data:'),
    });
    await world.sync();
    const written = world.cluster.raw(APPS_TOKEN);
    await world.configure(
      TWO_MAPPINGS.replaceAll('    data:', '    onSourceMissing: delete\n    data:'),
      NO_TOKENS,
    );
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1, refused: 1 } });
    world.store.absent('token');
    await almostProve(world);
    expect(await world.sync()).toMatchObject({ summary: { unchanged: 1, refused: 1, deleted: 0, held: 0 } });
    expect(exists(world, 'token')).toBe(true);
    expect(world.cluster.raw(APPS_TOKEN)).toEqual(written);
    await world.configure(TWO_MAPPINGS, '');
    world.store.put('token', 'tok');
    expect(await world.sync()).toMatchObject({ ok: true, summary: { refused: 0 } });
  });

  it('the service refuses a target that looked in sync when it started, and shows that it is refused', async () => {
    const world = await openWorld({ mappings: TWO_MAPPINGS });
    await world.sync();
    await world.configure(TWO_MAPPINGS, NO_TOKENS);
    await using serving = await serve(world);
    await world.clock.advance(30_000);
    const { targets } = await serving.service.status();
    expect(targets.map(({ secret, state, code }) => [secret, state, code])).toEqual([
      ['db', 'synced', undefined],
      ['token', 'refused', 'POLICY_VIOLATED'],
    ]);
    expect(world.records.filter(({ code }) => code === 'POLICY_VIOLATED')).toHaveLength(1);
  });

  it('a value that is older than `maxAge` is a warning in sync, plan and status, and is written all the same', async () => {
    const world = await openWorld({ mappings: DB_ONLY, more: policies('maxAge: 30d') });
    world.store.put('db', '{"user":"ann","password":"first"}', '1', world.clock.now() - 31 * DAY_MS);
    const warning = { code: 'POLICY_VIOLATED', message: expect.stringContaining('`maxAge` is 30d') };
    const report = await world.sync();
    expect(report).toMatchObject({ ok: true, summary: { created: 1 } });
    expect(report.targets[0]?.warnings).toMatchObject([warning]);
    {
      await using process = await world.start();
      const { targets } = await planTargets(process.app);
      expect(targets).toMatchObject([{ action: 'unchanged', warnings: [warning] }]);
    }
    world.cluster.forget(APPS_DB);
    await using serving = await serve(world);
    await world.clock.advance(30_000);
    expect((await serving.service.status()).warnings).toMatchObject([
      { ...warning, mapping: 'db', namespace: 'apps', secret: 'db' },
    ]);
    world.store.put('db', '{"user":"ann","password":"second"}', '2', world.clock.now());
    await serving.service.sync('db', { name: 'ann' }, 'rotated');
    expect((await serving.service.status()).warnings).toEqual([]);
  });
});
