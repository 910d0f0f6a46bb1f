import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import { AppError } from '../../src/core/errors.ts';
import { decide } from '../../src/reconcile/decide.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import type { Step, Watch } from '../fakes/faulty.ts';
import { APPS_DB, openDb, type World } from './world.ts';

const isRead = ({ call, args }: Step): boolean =>
  call === 'audit.append' && (args[0] as readonly Entry[])[0]?.action === 'read';

async function withPass<T>(world: World, watch: Watch, work: (pass: Pass) => Promise<T>): Promise<T> {
  await using process = await world.start(watch);
  return await work(await process.app.createContext());
}
type Pass = Awaited<ReturnType<Awaited<ReturnType<World['start']>>['app']['createContext']>>;

const mapping = async (world: World) => {
  await using process = await world.start();
  return (await process.app.resolve())[0]?.mapping ?? expect.fail();
};

describe('record of a read value', () => {
  it('the record of a read value is written before the intent, and both records are on disk before the target is changed', async () => {
    const world = await openDb();
    const wanted = await mapping(world);
    const held = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const steps: string[] = [];
    const watch = async (step: Step): Promise<void> => {
      if (step.call === 'cluster.create') steps.push(step.phase);
      if (step.phase !== 'after' || step.call !== 'audit.append') return;
      const [{ phase = '' } = {}] = step.args[0] as readonly Partial<Entry>[];
      if (phase === 'intent') reached.resolve();
      // At this point the record is stored, but the caller has not received the answer.
      if (isRead(step)) await held.promise;
    };
    await withPass(world, watch, async (pass) => {
      const running = reconcile(wanted, APPS_DB, pass);
      await reached.promise;
      await new Promise((resolve) => setImmediate(resolve));
      expect(steps).toEqual([]);
      held.resolve();
      expect(await running).toMatchObject({ kind: 'created' });
    });
    expect(steps).toEqual(['before', 'after']);
    expect(world.story().slice(0, 2)).toEqual(['read vault:db ok', 'create intent db ok']);
  });

  it('a target is not changed if the record of a read value cannot be stored, and the intent gets a failed outcome', async () => {
    const world = await openDb();
    const wanted = await mapping(world);
    const watch = (step: Step): void => {
      if (step.phase === 'before' && isRead(step)) throw new AppError('AUDIT_UNAVAILABLE');
    };
    await withPass(world, watch, async (pass) => {
      await expect(reconcile(wanted, APPS_DB, pass)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
      // All other targets that use the value fail with the same error in this run.
      await expect(decide(wanted, APPS_DB, pass)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    });
    expect(world.cluster.writes).toEqual([]);
    expect(world.story()).toEqual(['create intent db ok', 'create outcome db failed AUDIT_UNAVAILABLE']);
    expect(await world.sync()).toMatchObject({ summary: { created: 1 } });
  });

  it('the record of a read value is written by the next attempt if the audit store is available by then', async () => {
    const world = await openDb();
    const wanted = await mapping(world);
    let isAway = true;
    const watch = ({ call, phase }: Step): void => {
      if (isAway && phase === 'before' && call === 'audit.append') throw new AppError('AUDIT_UNAVAILABLE');
    };
    await withPass(world, watch, async (pass) => {
      for (let attempt = 0; attempt < 3; attempt += 1)
        await expect(reconcile(wanted, APPS_DB, pass)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
      isAway = false;
      expect(await reconcile(wanted, APPS_DB, pass)).toMatchObject({ kind: 'created' });
    });
    expect(world.story()).toEqual(['read vault:db ok', 'create intent db ok', 'create outcome db ok']);
  });

  it('the record of a read value is on disk before the target is reported as in sync', async () => {
    const world = await openDb();
    const wanted = await mapping(world);
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"first"}', '2');
    await world.sync();
    world.store.put('db', '{"user":"ann","password":"first"} ', '2');
    const watch = (step: Step): void => {
      if (step.phase === 'before' && isRead(step)) throw new AppError('AUDIT_UNAVAILABLE');
    };
    await withPass(world, watch, async (pass) => {
      await expect(reconcile(wanted, APPS_DB, pass)).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    });
  });
});
