import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { createRestarts } from '../../src/restart/restarts.ts';
import { checkRollouts } from '../../src/restart/rollouts.ts';
import { RESTART_AGAIN_ANNOTATION, restartAnnotation } from '../../src/sync/restart.ts';
import { Crash, type Watch } from '../fakes/faulty.ts';
import { base64 } from '../reconcile/world.ts';
import { deployment, openRestartFixture, type RestartFixture, WINDOW_MS } from './fixture.ts';

const MINUTE = 60_000;
const DB = { namespace: 'apps', secret: 'db' };

function wait(fixture: RestartFixture, ms: number): void {
  fixture.world.clock.set(fixture.world.clock.now() + ms);
}

/** Changes the source, reconciles, and waits until the restart window has passed. */
async function changed(fixture: RestartFixture, text = 'second', key?: string): Promise<void> {
  fixture.change(text, key);
  await fixture.reconcile();
  wait(fixture, WINDOW_MS);
}

/** Ends the process after a call has succeeded but before its result arrives. */
function crashAfter(name: string): Watch {
  let isDead = false;
  return ({ call, phase }) => {
    isDead ||= call === name && phase === 'after';
    if (isDead) throw new Crash();
  };
}

const fingerprintOf = (fixture: RestartFixture, secret = 'db') => {
  const metadata = objectIn(fixture.world.cluster.raw({ namespace: 'apps', secret }) ?? {}, 'metadata') ?? {};
  return objectIn(metadata, 'annotations')?.['secretbridge.dev/fingerprint'];
};

describe('content change', () => {
  it("a content change restarts the workload once, and writes the target's fingerprint into the pod template", async () => {
    const fixture = await openRestartFixture();
    await changed(fixture);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.workloads.annotated).toEqual([
      { id: deployment('web'), annotations: { [restartAnnotation('db')]: fingerprintOf(fixture) } },
    ]);
    expect(fixture.restartLog()).toEqual([
      'intent db Deployment/web ok',
      'outcome db Deployment/web ok {"rolled":1}',
    ]);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toHaveLength(1);
  });

  it.each([
    ['nothing to write', () => undefined],
    ['the same bytes in a new version', (fixture: RestartFixture) => fixture.change('second')],
  ])(
    'a content change restarts the workload if a write without an answer takes effect late and the next run has %s',
    async (_, then) => {
      const fixture = await openRestartFixture();
      const { cluster } = fixture.world;
      let makeLate: () => Promise<unknown> = async () => undefined;
      fixture.change('second');
      await fixture.reconcile(({ call, phase, args }) => {
        if (call !== 'cluster.replace' || phase !== 'before') return;
        makeLate = () => cluster.replace(...(args as Parameters<typeof cluster.replace>));
        throw new AppError('CLUSTER_UNAVAILABLE');
      });
      await makeLate();
      for (let look = 0; look < 2; look += 1) {
        then(fixture);
        await fixture.reconcile();
        wait(fixture, WINDOW_MS);
        expect(await fixture.restart()).toBeUndefined();
        expect(fixture.rollouts()).toEqual(['web 1']);
      }
    },
  );

  it('a content change restarts the workload even if a crash prevented the outcome record and the next change has the same bytes', async () => {
    const fixture = await openRestartFixture();
    fixture.change('second');
    await expect(fixture.reconcile(crashAfter('cluster.replace'))).rejects.toThrow(Crash);
    // Simulates another replica that runs before the unresolved intents are recovered.
    fixture.change('second');
    await fixture.reconcile();
    await fixture.recover();
    wait(fixture, WINDOW_MS);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['web 1']);
  });

  it('a content change appends the restart intent together with the outcome of the change', async () => {
    const fixture = await openRestartFixture();
    const appends: string[][] = [];
    fixture.change('second');
    await fixture.reconcile(({ call, phase, args }) => {
      if (call !== 'audit.append' || phase !== 'before') return;
      appends.push(
        (args[0] as { action: string; phase?: string }[]).map((record) => `${record.action} ${record.phase}`),
      );
    });
    expect(appends).toContainEqual(['update outcome', 'restart intent']);
  });

  it('the restart window starts at the first of several content changes', async () => {
    const fixture = await openRestartFixture({
      targets: { db: ['Deployment/web'], api: ['Deployment/web'] },
    });
    fixture.change('second', 'db');
    await fixture.reconcile();
    expect(await fixture.restart()).toBe(WINDOW_MS);
    wait(fixture, 3_000);
    fixture.change('second', 'api');
    await fixture.reconcile();
    expect(await fixture.restart()).toBe(2_000);
    wait(fixture, 2_000);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['web 2']);
  });

  it('a workload is restarted immediately for each content change if no window is configured', async () => {
    const fixture = await openRestartFixture();
    for (const text of ['second', 'third']) {
      fixture.change(text);
      await fixture.reconcile();
      expect(await fixture.restart({ windowMs: 0 })).toBeUndefined();
    }
    expect(fixture.rollouts()).toEqual(['web 1', 'web 1']);
  });

  it('a restart waits no longer than the window if the clock is set back', async () => {
    const fixture = await openRestartFixture();
    fixture.change('second');
    await fixture.reconcile();
    wait(fixture, -60 * MINUTE);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['web 1']);
  });

  it('a workload is restarted once if ten Secrets change within the window', async () => {
    const names = Array.from({ length: 10 }, (_, n) => `s${n}`);
    const fixture = await openRestartFixture({
      targets: Object.fromEntries(names.map((name) => [name, ['Deployment/web']])),
    });
    await changed(fixture);
    await fixture.restart();
    expect(fixture.rollouts()).toEqual(['web 10']);
    expect(fixture.restartLog().filter((line) => line.startsWith('outcome'))).toHaveLength(10);
  });

  it('a workload is restarted once for two changes within the window, with the latest fingerprint', async () => {
    const fixture = await openRestartFixture();
    for (const text of ['second', 'third']) await changed(fixture, text);
    await fixture.restart();
    expect(fixture.workloads.annotated.map(({ annotations }) => Object.values(annotations))).toEqual([
      [fingerprintOf(fixture)],
    ]);
    expect(await fixture.restart()).toBeUndefined();
  });

  it('a workload is not restarted after a change and its reversal if the pods still use the original content', async () => {
    const fixture = await openRestartFixture();
    await changed(fixture, 'second');
    await fixture.restart();
    fixture.workloads.settle(deployment('web'));
    await changed(fixture, 'third');
    await changed(fixture, 'second');
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toHaveLength(1);
    expect(fixture.restartLog().slice(-2)).toEqual(
      Array(2).fill('outcome db Deployment/web ok {"rolled":0}'),
    );
  });

  it('a workload is restarted after a change and its reversal if somebody rolled back the pod template in between', async () => {
    const fixture = await openRestartFixture();
    const web = deployment('web');
    const name = restartAnnotation('db');
    for (const text of ['second', 'third']) {
      await changed(fixture, text);
      await fixture.restart();
      fixture.workloads.settle(web);
    }
    const [older] = fixture.workloads.annotated;
    // Simulates `kubectl rollout undo`. The pods have read the third content, although the template has the fingerprint
    // of the second.
    fixture.workloads.put(web, { podAnnotations: { ...older?.annotations }, foreign: [name] });
    await changed(fixture, 'second');
    expect(older?.annotations[name]).toBe(fingerprintOf(fixture));
    await fixture.restart({ watch: crashAfter('workloads.annotatePods') }).catch(() => undefined);
    expect(fixture.rollouts()).toHaveLength(3);
    const again = fixture.workloads.annotated.at(-1)?.annotations;
    const [intent] = fixture.world.records
      .filter(({ action, phase }) => action === 'restart' && phase === 'intent')
      .slice(-1);
    expect(again).toEqual({ [RESTART_AGAIN_ANNOTATION]: `${intent?.sequence}` });
    // The next process detects the completed restart, and records it.
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toHaveLength(3);
    expect(fixture.restartLog().slice(-1)).toEqual(['outcome db Deployment/web ok {"rolled":1}']);
  });

  it('a workload is restarted after a repair unless the pod template already has the fingerprint of the repaired content', async () => {
    const fixture = await openRestartFixture();
    const edit = () =>
      fixture.world.cluster.edit(DB, (raw) => ({ ...raw, data: { VALUE: base64('by hand') } }));
    edit();
    await fixture.reconcile();
    wait(fixture, WINDOW_MS);
    await fixture.restart();
    expect(fixture.rollouts()).toHaveLength(1);
    edit();
    await fixture.reconcile();
    wait(fixture, WINDOW_MS);
    await fixture.restart();
    expect(fixture.rollouts()).toHaveLength(1);
    // The outcome reports `rolled: 0`, because the second change needed no rollout.
    expect(fixture.restartLog().slice(-1)).toEqual(['outcome db Deployment/web ok {"rolled":0}']);
  });

  it('a workload is restarted if a manually deleted target is created with a new value, but not with the old value', async () => {
    const fixture = await openRestartFixture();
    fixture.world.cluster.forget(DB);
    await fixture.reconcile();
    expect(fixture.restartLog()).toEqual([]);
    fixture.world.cluster.forget(DB);
    await changed(fixture);
    await fixture.restart();
    expect(fixture.rollouts()).toEqual(['web 1']);
  });

  it('a workload is restarted after an immutable target was recreated', async () => {
    const fixture = await openRestartFixture({ target: ', immutable: true, recreate: true' });
    fixture.change('second');
    expect((await fixture.world.sync()).targets).toMatchObject([{ kind: 'updated', restarts: true }]);
    wait(fixture, WINDOW_MS);
    await fixture.restart();
    expect(fixture.rollouts()).toEqual(['web 1']);
  });

  it('a pod template stays unchanged if somebody removed our annotation after the restart', async () => {
    const fixture = await openRestartFixture();
    await changed(fixture);
    await fixture.restart();
    fixture.workloads.put(deployment('web'));
    await fixture.reconcile();
    wait(fixture, WINDOW_MS);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toHaveLength(1);
  });
});

describe('no restart', () => {
  it('no restart happens after a creation, after a run without changes, or after a new version with the same bytes', async () => {
    const fixture = await openRestartFixture();
    await fixture.reconcile();
    await changed(fixture, 'first');
    expect(fixture.world.story().at(-1)).toBe('update outcome db ok');
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.restartLog()).toEqual([]);
  });

  it('no restart happens after a failed write', async () => {
    const fixture = await openRestartFixture();
    fixture.change('second');
    fixture.world.cluster.fail('replace', new AppError('CLUSTER_FORBIDDEN'));
    await fixture.reconcile();
    expect(fixture.restartLog()).toEqual([]);
  });
});

describe('selector', () => {
  const options = {
    targets: { db: ['Deployment with app=web'] },
    deployments: { one: { app: 'web' }, two: { app: 'web' }, other: { app: 'api' } },
  };

  it('a selector restarts each selected workload once', async () => {
    const fixture = await openRestartFixture(options);
    await changed(fixture);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['one 1', 'two 1']);
    expect(fixture.restartLog().slice(1)).toEqual([
      '- db Deployment/one ok {"rolled":1}',
      '- db Deployment/two ok {"rolled":1}',
      'outcome db Deployment with app=web ok {"workloads":2}',
    ]);
  });

  it('a selected workload is not restarted a second time if it was rolled back while other workloads waited for the budget', async () => {
    const fixture = await openRestartFixture(options);
    await changed(fixture);
    expect(await fixture.restart({ atOnce: 1 })).toBe(2_000);
    fixture.workloads.put(deployment('one'), { labels: { app: 'web' } });
    expect(await fixture.restart({ atOnce: 1 })).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['one 1', 'two 1']);
  });

  it('a restart is completed immediately if its selector matches no workload', async () => {
    const fixture = await openRestartFixture({ ...options, deployments: {} });
    await changed(fixture);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.restartLog().at(-1)).toBe('outcome db Deployment with app=web ok {"workloads":0}');
  });

  it('a workload is restarted only once if mappings refer to it both by its name and by a selector', async () => {
    const fixture = await openRestartFixture({
      targets: { db: ['Deployment with app=web', 'Deployment/one'], api: ['Deployment/one'] },
      deployments: { one: { app: 'web' } },
    });
    await changed(fixture);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['one 2']);
    expect(fixture.restartLog().filter((line) => line.startsWith('outcome'))).toHaveLength(3);
  });
});

describe('budget', () => {
  const names = ['a', 'b', 'c', 'd'];
  const open = () =>
    openRestartFixture({
      targets: { db: names.map((name) => `Deployment/${name}`) },
      deployments: Object.fromEntries(names.map((name) => [name, {}])),
    });

  it('the restart budget allows the next restart when a rollout has completed', async () => {
    const fixture = await open();
    await changed(fixture);
    expect(await fixture.restart({ atOnce: 2 })).toBe(2_000);
    expect(await fixture.restart({ atOnce: 2 })).toBe(2_000);
    expect(fixture.rollouts()).toEqual(['a 1', 'b 1']);
    fixture.workloads.settle(deployment('b'));
    expect(await fixture.restart({ atOnce: 2 })).toBe(2_000);
    expect(fixture.rollouts()).toEqual(['a 1', 'b 1', 'c 1']);
    fixture.workloads.settle(deployment('c'));
    expect(await fixture.restart({ atOnce: 2 })).toBeUndefined();
    expect(fixture.rollouts()).toHaveLength(4);
  });

  it('the restart budget ignores a rollout that has not completed after ten minutes', async () => {
    const fixture = await open();
    await changed(fixture);
    await fixture.restart({ atOnce: 1 });
    wait(fixture, 10 * MINUTE);
    expect(await fixture.restart({ atOnce: 1 })).toBe(2_000);
    expect(fixture.rollouts()).toHaveLength(1);
    wait(fixture, 1);
    await fixture.restart({ atOnce: 1 });
    expect(fixture.rollouts()).toHaveLength(2);
  });

  it('if the clock is set back to a time before a rollout began, the restart budget ignores this rollout ten minutes later', async () => {
    const fixture = await open();
    await changed(fixture);
    await using restarts = await fixture.startRestarts();
    const run = () => restarts.run({ windowMs: WINDOW_MS, atOnce: 1 });
    await run();
    wait(fixture, -120 * MINUTE);
    for (const ms of [0, 10 * MINUTE]) {
      wait(fixture, ms);
      expect(await run()).toEqual({ nextMs: 2_000 });
      expect(fixture.rollouts()).toHaveLength(1);
    }
    wait(fixture, 1);
    await run();
    expect(fixture.rollouts()).toHaveLength(2);
  });

  it('the restart budget ignores rollouts of workloads without a mapping, and allows the restart of a workload during its rollout', async () => {
    const fixture = await openRestartFixture({ deployments: { web: {}, theirs: {} } });
    fixture.workloads.put(deployment('theirs'), { rolling: true });
    for (const text of ['second', 'third']) {
      await changed(fixture, text);
      expect(await fixture.restart({ atOnce: 1 })).toBeUndefined();
    }
    expect(fixture.rollouts()).toEqual(['web 1', 'web 1']);
  });

  it('the restart budget counts a restart from before a crash even if the restart was not recorded', async () => {
    const fixture = await open();
    await changed(fixture);
    const lost = new AppError('AUDIT_UNAVAILABLE');
    const watch = ({ call, phase }: { call: string; phase: string }) => {
      if (call === 'audit.append' && phase === 'before') throw lost;
    };
    await expect(fixture.restart({ watch, atOnce: 1 })).rejects.toBe(lost);
    expect(await fixture.restart({ atOnce: 1 })).toBe(2_000);
    expect(fixture.rollouts()).toEqual(['a 1']);
  });
});

describe('workload that cannot be restarted', () => {
  it('a workload that does not exist is recorded once, and its restart is not retried', async () => {
    const fixture = await openRestartFixture({ deployments: {} });
    await changed(fixture);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.restartLog().slice(1)).toEqual(['outcome db Deployment/web failed WORKLOAD_MISSING']);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.restartLog()).toHaveLength(2);
  });

  it('a workload is recorded as missing if somebody deletes it between the read and the restart', async () => {
    const fixture = await openRestartFixture();
    await changed(fixture);
    await fixture.restart({
      watch: ({ call, phase }) => {
        if (call === 'workloads.annotatePods' && phase === 'before')
          fixture.workloads.forget(deployment('web'));
      },
    });
    expect(fixture.restartLog().at(-1)).toBe('outcome db Deployment/web failed WORKLOAD_MISSING');
  });

  it('a workload with forbidden access is recorded once and retried after minutes, and does not block other workloads', async () => {
    const fixture = await openRestartFixture({
      targets: { db: ['Deployment/web', 'Deployment/api'] },
      deployments: { web: {}, api: {} },
    });
    await changed(fixture);
    const { length } = fixture.restartLog();
    for (const _ of [1, 2]) {
      fixture.workloads.fail('annotatePods', new AppError('CLUSTER_FORBIDDEN'));
      expect(await fixture.restart()).toBe(5 * MINUTE);
    }
    expect(fixture.restartLog().slice(length)).toEqual([
      '- db Deployment/api failed CLUSTER_FORBIDDEN',
      'outcome db Deployment/web ok {"rolled":1}',
    ]);
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['web 1', 'api 1']);
  });

  it('a restart is retried after seconds if the cluster is unavailable, and until then other workloads cause no calls', async () => {
    const fixture = await openRestartFixture({ targets: { db: ['Deployment/web', 'Deployment/api'] } });
    await changed(fixture);
    fixture.workloads.fail('read', new AppError('CLUSTER_UNAVAILABLE'), new AppError('INTERNAL'));
    expect(await fixture.restart()).toBe(10_000);
    expect(fixture.restartLog().filter((line) => line.includes('failed'))).toHaveLength(1);
  });

  it('a restart is retried when a rate limit allows it, but after an hour at most', async () => {
    const fixture = await openRestartFixture();
    await changed(fixture);
    for (const [retryAfterMs, next] of [
      [90_000, 90_000],
      [30 * 24 * 60 * MINUTE, 60 * MINUTE],
    ] as const) {
      fixture.workloads.fail('read', new AppError('CLUSTER_UNAVAILABLE', { retryAfterMs }));
      expect(await fixture.restart()).toBe(next);
    }
  });

  it('recent rollouts are rarely checked while the cluster is unavailable', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `w${n}`);
    const fixture = await openRestartFixture({
      targets: { db: names.map((name) => `Deployment/${name}`) },
      deployments: Object.fromEntries(names.map((name) => [name, {}])),
    });
    await changed(fixture);
    await fixture.restart({ atOnce: 12 });
    expect(fixture.rollouts()).toHaveLength(12);
    await changed(fixture, 'third');
    fixture.workloads.fail('read', ...Array.from({ length: 50 }, () => new AppError('CLUSTER_UNAVAILABLE')));
    let reads = 0;
    const watch: Watch = ({ call, phase }) => {
      if (call === 'workloads.read' && phase === 'before') reads += 1;
    };
    // There must be few calls, because each may take until the request timeout.
    expect(await fixture.restart({ atOnce: 12, watch })).toBe(10_000);
    expect(reads).toBeLessThanOrEqual(4);
    expect(fixture.restartLog().filter((line) => line.includes('failed'))).toHaveLength(1);
  });

  it('a restart that keeps failing is given up, with a record, after a day and one more attempt', async () => {
    const fixture = await openRestartFixture();
    await changed(fixture);
    wait(fixture, 25 * 60 * MINUTE);
    fixture.workloads.fail('read', new AppError('CLUSTER_FORBIDDEN'));
    expect(await fixture.restart()).toBeUndefined();
    expect(fixture.restartLog().at(-1)).toBe('outcome db Deployment/web failed CLUSTER_FORBIDDEN');
    await changed(fixture, 'third');
    wait(fixture, 25 * 60 * MINUTE);
    await fixture.restart();
    expect(fixture.rollouts()).toEqual(['web 1']);
  });
});

describe('restart that was removed from its mapping', () => {
  async function run(fixture: RestartFixture, wanted: readonly string[]): Promise<number | undefined> {
    await using process = await fixture.world.start();
    const { audit, clock, instances } = process.app;
    const isWanted = (mapping: string, workload: string) => wanted.includes(`${mapping} ${workload}`);
    const restarts = createRestarts({
      audit,
      clock,
      workloads: fixture.workloads,
      instances,
      isConfigured: isWanted,
    });
    return (await restarts.run({ windowMs: WINDOW_MS, atOnce: 5 })).nextMs;
  }

  it('a restart that was removed from its mapping is recorded as dropped, and other restarts of the mapping are kept', async () => {
    const fixture = await openRestartFixture({
      targets: { db: ['Deployment/web', 'Deployment/api'] },
      deployments: { web: {}, api: {} },
    });
    await changed(fixture);
    const away = new AppError('CLUSTER_FORBIDDEN');
    fixture.workloads.fail('annotatePods', away, away);
    expect(await fixture.restart()).toBe(5 * MINUTE);
    wait(fixture, 5 * MINUTE);
    expect(await run(fixture, ['db Deployment/api'])).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['api 1']);
    expect(fixture.restartLog()).toContain('outcome db Deployment/web ok {"dropped":1}');
    expect(await run(fixture, ['db Deployment/web'])).toBeUndefined();
  });

  it('a restart that was removed from its mapping is carried out while another replica may have a newer configuration that contains it', async () => {
    const fixture = await openRestartFixture();
    await changed(fixture);
    expect(await run(fixture, [])).toBeUndefined();
    expect(fixture.rollouts()).toEqual(['web 1']);
  });
});

describe('restart process', () => {
  it('the restart process forgets completed rollouts that are too old to count', async () => {
    const fixture = await openRestartFixture();
    const { clock } = fixture.world;
    const ended = new Set(['of yesterday']);
    const rollouts = [{ namespace: 'apps', workload: 'Deployment/web', startedAt: clock.now() }];
    await checkRollouts(rollouts, { workloads: fixture.workloads, completed: ended, call: {} });
    expect(ended.size).toBe(1);
    expect(ended).not.toContain('of yesterday');
  });

  it('the restart process finds the pending restarts that other processes recorded', async () => {
    const fixture = await openRestartFixture();
    await using restarts = await fixture.startRestarts();
    for (const text of ['second', 'third', 'fourth']) {
      await changed(fixture, text);
      expect(await restarts.run({ windowMs: WINDOW_MS, atOnce: 1 })).toEqual({});
    }
    expect(fixture.rollouts()).toHaveLength(3);
  });

  it('the restart process may run concurrently with another restart process', async () => {
    const fixture = await openRestartFixture({
      targets: { db: ['Deployment/web'], api: ['Deployment/web'] },
    });
    await changed(fixture);
    await Promise.all([fixture.restart(), fixture.restart(), fixture.restart()]);
    expect(fixture.rollouts()).toEqual(['web 2']);
    expect(fixture.restartLog().filter((line) => line.startsWith('outcome'))).toHaveLength(2);
  });

  it('the restart process ignores pending restarts of another instance in the same audit store', async () => {
    const fixture = await openRestartFixture();
    await changed(fixture);
    await using process = await fixture.world.start();
    const { audit, clock } = process.app;
    const others = createRestarts({ audit, clock, workloads: fixture.workloads, instances: ['other'] });
    expect(await others.run({ windowMs: 0, atOnce: 1 })).toEqual({});
    expect(fixture.rollouts()).toEqual([]);
  });
});
