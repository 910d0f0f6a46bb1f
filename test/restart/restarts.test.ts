import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { createRestarts } from '../../src/restart/restarts.ts';
import { lookAtRolls } from '../../src/restart/rolling.ts';
import { RESTART_AGAIN, restartAnnotation } from '../../src/sync/restart.ts';
import { Crash, type Watch } from '../fakes/faulty.ts';
import { base64 } from '../reconcile/world.ts';
import { deployment, openTown, type Town, WINDOW_MS } from './town.ts';

const MINUTE = 60_000;
const DB = { namespace: 'apps', secret: 'db' };

function wait(town: Town, ms: number): void {
  town.world.clock.set(town.world.clock.now() + ms);
}

/** A change, and its window gone by. */
async function changed(town: Town, text = 'second', key?: string): Promise<void> {
  town.change(text, key);
  await town.reconcile();
  wait(town, WINDOW_MS);
}

/** Ends a process when a call has been carried out, before it learns of that. */
function crashAfter(name: string): Watch {
  let isDead = false;
  return ({ call, phase }) => {
    isDead ||= call === name && phase === 'after';
    if (isDead) throw new Crash();
  };
}

const fingerprintOf = (town: Town, secret = 'db') => {
  const metadata = objectIn(town.world.cluster.raw({ namespace: 'apps', secret }) ?? {}, 'metadata') ?? {};
  return objectIn(metadata, 'annotations')?.['secretbridge.dev/fingerprint'];
};

describe('a change of content', () => {
  it('rolls the workload once, by the fingerprint of the target', async () => {
    const town = await openTown();
    await changed(town);
    expect(await town.restart()).toBeUndefined();
    expect(town.workloads.annotated).toEqual([
      { id: deployment('web'), annotations: { [restartAnnotation('db')]: fingerprintOf(town) } },
    ]);
    expect(town.story()).toEqual([
      'intent db Deployment/web ok',
      'outcome db Deployment/web ok {"rolled":1}',
    ]);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toHaveLength(1);
  });

  it.each([
    ['nothing to write', () => undefined],
    ['the same bytes in a new version', (town: Town) => town.change('second')],
  ])(
    'rolls the workload also where it was made after the look that did not find it, and the next has %s',
    async (_, then) => {
      const town = await openTown();
      const { cluster } = town.world;
      let makeLate: () => Promise<unknown> = async () => undefined;
      town.change('second');
      await town.reconcile(({ call, phase, args }) => {
        if (call !== 'cluster.replace' || phase !== 'before') return;
        makeLate = () => cluster.replace(...(args as Parameters<typeof cluster.replace>));
        throw new AppError('CLUSTER_UNAVAILABLE');
      });
      await makeLate();
      for (let look = 0; look < 2; look += 1) {
        then(town);
        await town.reconcile();
        wait(town, WINDOW_MS);
        expect(await town.restart()).toBeUndefined();
        expect(town.rolls()).toEqual(['web 1']);
      }
    },
  );

  it('rolls the workload also where a crash cut it off from its record, and the next change has the same bytes', async () => {
    const town = await openTown();
    town.change('second');
    await expect(town.reconcile(crashAfter('cluster.replace'))).rejects.toThrow(Crash);
    // As another replica does, which runs while nobody has looked at what was left open.
    town.change('second');
    await town.reconcile();
    await town.recover();
    wait(town, WINDOW_MS);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toEqual(['web 1']);
  });

  it('is an intent in the same append as its outcome', async () => {
    const town = await openTown();
    const appends: string[][] = [];
    town.change('second');
    await town.reconcile(({ call, phase, args }) => {
      if (call !== 'audit.append' || phase !== 'before') return;
      appends.push((args[0] as { action: string; phase?: string }[]).map((it) => `${it.action} ${it.phase}`));
    });
    expect(appends).toContainEqual(['update outcome', 'restart intent']);
  });

  it('waits for the window from the first change on', async () => {
    const town = await openTown({ targets: { db: ['Deployment/web'], api: ['Deployment/web'] } });
    town.change('second', 'db');
    await town.reconcile();
    expect(await town.restart()).toBe(WINDOW_MS);
    wait(town, 3_000);
    town.change('second', 'api');
    await town.reconcile();
    expect(await town.restart()).toBe(2_000);
    wait(town, 2_000);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toEqual(['web 2']);
  });

  it('waits for nothing without a window, and each change makes a restart', async () => {
    const town = await openTown();
    for (const text of ['second', 'third']) {
      town.change(text);
      await town.reconcile();
      expect(await town.restart({ windowMs: 0 })).toBeUndefined();
    }
    expect(town.rolls()).toEqual(['web 1', 'web 1']);
  });

  it('waits no longer than its window when the clock is set back', async () => {
    const town = await openTown();
    town.change('second');
    await town.reconcile();
    wait(town, -60 * MINUTE);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toEqual(['web 1']);
  });

  it('of ten Secrets within the window makes one restart', async () => {
    const names = Array.from({ length: 10 }, (_, n) => `s${n}`);
    const town = await openTown({
      targets: Object.fromEntries(names.map((name) => [name, ['Deployment/web']])),
    });
    await changed(town);
    await town.restart();
    expect(town.rolls()).toEqual(['web 10']);
    expect(town.story().filter((line) => line.startsWith('outcome'))).toHaveLength(10);
  });

  it('twice within the window makes one restart, with the latest fingerprint', async () => {
    const town = await openTown();
    for (const text of ['second', 'third']) await changed(town, text);
    await town.restart();
    expect(town.workloads.annotated.map(({ annotations }) => Object.values(annotations))).toEqual([
      [fingerprintOf(town)],
    ]);
    expect(await town.restart()).toBeUndefined();
  });

  it('and back makes none when the pods have read that content', async () => {
    const town = await openTown();
    await changed(town, 'second');
    await town.restart();
    town.workloads.settle(deployment('web'));
    await changed(town, 'third');
    await changed(town, 'second');
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toHaveLength(1);
    expect(town.story().slice(-2)).toEqual(Array(2).fill('outcome db Deployment/web ok {"rolled":0}'));
  });

  it('and back restarts where somebody has gone back to an older pod template in between', async () => {
    const town = await openTown();
    const web = deployment('web');
    const name = restartAnnotation('db');
    for (const text of ['second', 'third']) {
      await changed(town, text);
      await town.restart();
      town.workloads.settle(web);
    }
    const [older] = town.workloads.annotated;
    // As `kubectl rollout undo` does: its pods have read the third content, whatever the template says.
    town.workloads.put(web, { podAnnotations: { ...older?.annotations }, foreign: [name] });
    await changed(town, 'second');
    expect(older?.annotations[name]).toBe(fingerprintOf(town));
    await town.restart({ watch: crashAfter('workloads.annotatePods') }).catch(() => undefined);
    expect(town.rolls()).toHaveLength(3);
    const again = town.workloads.annotated.at(-1)?.annotations;
    const [intent] = town.world.records
      .filter(({ action, phase }) => action === 'restart' && phase === 'intent')
      .slice(-1);
    expect(again).toEqual({ [RESTART_AGAIN]: `${intent?.sequence}` });
    // Whoever goes on after the crash finds that it is done, and records it.
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toHaveLength(3);
    expect(town.story().slice(-1)).toEqual(['outcome db Deployment/web ok {"rolled":1}']);
  });

  it('by a repair restarts as well, unless the pod template has that fingerprint', async () => {
    const town = await openTown();
    const edit = () => town.world.cluster.edit(DB, (raw) => ({ ...raw, data: { VALUE: base64('by hand') } }));
    edit();
    await town.reconcile();
    wait(town, WINDOW_MS);
    await town.restart();
    expect(town.rolls()).toHaveLength(1);
    edit();
    await town.reconcile();
    wait(town, WINDOW_MS);
    await town.restart();
    expect(town.rolls()).toHaveLength(1);
    // Although it still rolls for the first.
    expect(town.story().slice(-1)).toEqual(['outcome db Deployment/web ok {"rolled":0}']);
  });

  it('of a target that was deleted by hand restarts, and its mere return does not', async () => {
    const town = await openTown();
    town.world.cluster.forget(DB);
    await town.reconcile();
    expect(town.story()).toEqual([]);
    town.world.cluster.forget(DB);
    await changed(town);
    await town.restart();
    expect(town.rolls()).toEqual(['web 1']);
  });

  it('of an immutable target, which is made anew for it, restarts as well', async () => {
    const town = await openTown({ target: ', immutable: true, recreate: true' });
    town.change('second');
    expect((await town.world.sync()).targets).toMatchObject([{ kind: 'updated', restarts: true }]);
    wait(town, WINDOW_MS);
    await town.restart();
    expect(town.rolls()).toEqual(['web 1']);
  });

  it('that somebody takes back from the pod template is not made again', async () => {
    const town = await openTown();
    await changed(town);
    await town.restart();
    town.workloads.put(deployment('web'));
    await town.reconcile();
    wait(town, WINDOW_MS);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toHaveLength(1);
  });
});

describe('no restart follows', () => {
  it('from a creation, a pass without a change, or a new version of the same bytes', async () => {
    const town = await openTown();
    await town.reconcile();
    await changed(town, 'first');
    expect(town.world.story().at(-1)).toBe('update outcome db ok');
    expect(await town.restart()).toBeUndefined();
    expect(town.story()).toEqual([]);
  });

  it('from a write that failed', async () => {
    const town = await openTown();
    town.change('second');
    town.world.cluster.fail('replace', new AppError('CLUSTER_FORBIDDEN'));
    await town.reconcile();
    expect(town.story()).toEqual([]);
  });
});

describe('a selector', () => {
  const options = {
    targets: { db: ['Deployment with app=web'] },
    deployments: { one: { app: 'web' }, two: { app: 'web' }, other: { app: 'api' } },
  };

  it('rolls each workload that it means, once', async () => {
    const town = await openTown(options);
    await changed(town);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toEqual(['one 1', 'two 1']);
    expect(town.story().slice(1)).toEqual([
      '- db Deployment/one ok {"rolled":1}',
      '- db Deployment/two ok {"rolled":1}',
      'outcome db Deployment with app=web ok {"workloads":2}',
    ]);
  });

  it('does not roll again what somebody took back while others wait for the budget', async () => {
    const town = await openTown(options);
    await changed(town);
    expect(await town.restart({ atOnce: 1 })).toBe(2_000);
    town.workloads.put(deployment('one'), { labels: { app: 'web' } });
    expect(await town.restart({ atOnce: 1 })).toBeUndefined();
    expect(town.rolls()).toEqual(['one 1', 'two 1']);
  });

  it('that means nothing is done at once', async () => {
    const town = await openTown({ ...options, deployments: {} });
    await changed(town);
    expect(await town.restart()).toBeUndefined();
    expect(town.story().at(-1)).toBe('outcome db Deployment with app=web ok {"workloads":0}');
  });

  it('and a name that mean the same workload make one restart', async () => {
    const town = await openTown({
      targets: { db: ['Deployment with app=web', 'Deployment/one'], api: ['Deployment/one'] },
      deployments: { one: { app: 'web' } },
    });
    await changed(town);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toEqual(['one 2']);
    expect(town.story().filter((line) => line.startsWith('outcome'))).toHaveLength(3);
  });
});

describe('the budget', () => {
  const names = ['a', 'b', 'c', 'd'];
  const open = () =>
    openTown({
      targets: { db: names.map((name) => `Deployment/${name}`) },
      deployments: Object.fromEntries(names.map((name) => [name, {}])),
    });

  it('lets the next one roll when another has ended', async () => {
    const town = await open();
    await changed(town);
    expect(await town.restart({ atOnce: 2 })).toBe(2_000);
    expect(await town.restart({ atOnce: 2 })).toBe(2_000);
    expect(town.rolls()).toEqual(['a 1', 'b 1']);
    town.workloads.settle(deployment('b'));
    expect(await town.restart({ atOnce: 2 })).toBe(2_000);
    expect(town.rolls()).toEqual(['a 1', 'b 1', 'c 1']);
    town.workloads.settle(deployment('c'));
    expect(await town.restart({ atOnce: 2 })).toBeUndefined();
    expect(town.rolls()).toHaveLength(4);
  });

  it('no longer counts one that has not ended after ten minutes', async () => {
    const town = await open();
    await changed(town);
    await town.restart({ atOnce: 1 });
    wait(town, 10 * MINUTE);
    expect(await town.restart({ atOnce: 1 })).toBe(2_000);
    expect(town.rolls()).toHaveLength(1);
    wait(town, 1);
    await town.restart({ atOnce: 1 });
    expect(town.rolls()).toHaveLength(2);
  });

  it('nor ten minutes after the clock was set back', async () => {
    const town = await open();
    await changed(town);
    await using restarts = await town.startRestarts();
    const run = () => restarts.run({ windowMs: WINDOW_MS, atOnce: 1 });
    await run();
    wait(town, -120 * MINUTE);
    for (const ms of [0, 10 * MINUTE]) {
      wait(town, ms);
      expect(await run()).toEqual({ nextMs: 2_000 });
      expect(town.rolls()).toHaveLength(1);
    }
    wait(town, 1);
    await run();
    expect(town.rolls()).toHaveLength(2);
  });

  it('is not spent by what others roll, and lets a workload roll anew that rolls already', async () => {
    const town = await openTown({ deployments: { web: {}, theirs: {} } });
    town.workloads.put(deployment('theirs'), { rolling: true });
    for (const text of ['second', 'third']) {
      await changed(town, text);
      expect(await town.restart({ atOnce: 1 })).toBeUndefined();
    }
    expect(town.rolls()).toEqual(['web 1', 'web 1']);
  });

  it('counts one that was rolled before a crash, and not recorded', async () => {
    const town = await open();
    await changed(town);
    const lost = new AppError('AUDIT_UNAVAILABLE');
    const watch = ({ call, phase }: { call: string; phase: string }) => {
      if (call === 'audit.append' && phase === 'before') throw lost;
    };
    await expect(town.restart({ watch, atOnce: 1 })).rejects.toBe(lost);
    expect(await town.restart({ atOnce: 1 })).toBe(2_000);
    expect(town.rolls()).toEqual(['a 1']);
  });
});

describe('a workload that cannot be rolled', () => {
  it('because there is none is recorded once, and not tried again', async () => {
    const town = await openTown({ deployments: {} });
    await changed(town);
    expect(await town.restart()).toBeUndefined();
    expect(town.story().slice(1)).toEqual(['outcome db Deployment/web failed WORKLOAD_MISSING']);
    expect(await town.restart()).toBeUndefined();
    expect(town.story()).toHaveLength(2);
  });

  it('because it left just now is missing too', async () => {
    const town = await openTown();
    await changed(town);
    await town.restart({
      watch: ({ call, phase }) => {
        if (call === 'workloads.annotatePods' && phase === 'before') town.workloads.forget(deployment('web'));
      },
    });
    expect(town.story().at(-1)).toBe('outcome db Deployment/web failed WORKLOAD_MISSING');
  });

  it('because we may not is recorded once, retried slowly, and holds up no other', async () => {
    const town = await openTown({
      targets: { db: ['Deployment/web', 'Deployment/api'] },
      deployments: { web: {}, api: {} },
    });
    await changed(town);
    const { length } = town.story();
    for (const _ of [1, 2]) {
      town.workloads.fail('annotatePods', new AppError('CLUSTER_FORBIDDEN'));
      expect(await town.restart()).toBe(5 * MINUTE);
    }
    expect(town.story().slice(length)).toEqual([
      '- db Deployment/api failed CLUSTER_FORBIDDEN',
      'outcome db Deployment/web ok {"rolled":1}',
    ]);
    expect(await town.restart()).toBeUndefined();
    expect(town.rolls()).toEqual(['web 1', 'api 1']);
  });

  it('because the cluster is away is tried again soon, without a call for each of the others', async () => {
    const town = await openTown({ targets: { db: ['Deployment/web', 'Deployment/api'] } });
    await changed(town);
    town.workloads.fail('read', new AppError('CLUSTER_UNAVAILABLE'), new AppError('INTERNAL'));
    expect(await town.restart()).toBe(10_000);
    expect(town.story().filter((line) => line.includes('failed'))).toHaveLength(1);
  });

  it('because the cluster wants to be left alone is tried again when it says, and within an hour', async () => {
    const town = await openTown();
    await changed(town);
    for (const [asked, next] of [
      [90_000, 90_000],
      [30 * 24 * 60 * MINUTE, 60 * MINUTE],
    ] as const) {
      town.workloads.fail('read', new AppError('CLUSTER_UNAVAILABLE', { retryAfterMs: asked }));
      expect(await town.restart()).toBe(next);
    }
  });

  it('because the cluster is away costs no call for each workload that was rolled of late either', async () => {
    const names = Array.from({ length: 12 }, (_, n) => `w${n}`);
    const town = await openTown({
      targets: { db: names.map((name) => `Deployment/${name}`) },
      deployments: Object.fromEntries(names.map((name) => [name, {}])),
    });
    await changed(town);
    await town.restart({ atOnce: 12 });
    expect(town.rolls()).toHaveLength(12);
    await changed(town, 'third');
    town.workloads.fail('read', ...Array.from({ length: 50 }, () => new AppError('CLUSTER_UNAVAILABLE')));
    let reads = 0;
    const watch: Watch = ({ call, phase }) => {
      if (call === 'workloads.read' && phase === 'before') reads += 1;
    };
    // Each may take the longest time that a request may take.
    expect(await town.restart({ atOnce: 12, watch })).toBe(10_000);
    expect(reads).toBeLessThanOrEqual(4);
    expect(town.story().filter((line) => line.includes('failed'))).toHaveLength(1);
  });

  it('is given up after a day, on record, and only after one more try', async () => {
    const town = await openTown();
    await changed(town);
    wait(town, 25 * 60 * MINUTE);
    town.workloads.fail('read', new AppError('CLUSTER_FORBIDDEN'));
    expect(await town.restart()).toBeUndefined();
    expect(town.story().at(-1)).toBe('outcome db Deployment/web failed CLUSTER_FORBIDDEN');
    await changed(town, 'third');
    wait(town, 25 * 60 * MINUTE);
    await town.restart();
    expect(town.rolls()).toEqual(['web 1']);
  });
});

describe('a restart that was taken out of its mapping', () => {
  async function run(town: Town, wanted: readonly string[]): Promise<number | undefined> {
    await using process = await town.world.start();
    const { audit, clock, instances } = process.app;
    const isWanted = (mapping: string, workload: string) => wanted.includes(`${mapping} ${workload}`);
    const restarts = createRestarts({ audit, clock, workloads: town.workloads, instances, isWanted });
    return (await restarts.run({ windowMs: WINDOW_MS, atOnce: 5 })).nextMs;
  }

  it('is dropped on record, and no other', async () => {
    const town = await openTown({
      targets: { db: ['Deployment/web', 'Deployment/api'] },
      deployments: { web: {}, api: {} },
    });
    await changed(town);
    const away = new AppError('CLUSTER_FORBIDDEN');
    town.workloads.fail('annotatePods', away, away);
    expect(await town.restart()).toBe(5 * MINUTE);
    wait(town, 5 * MINUTE);
    expect(await run(town, ['db Deployment/api'])).toBeUndefined();
    expect(town.rolls()).toEqual(['api 1']);
    expect(town.story()).toContain('outcome db Deployment/web ok {"dropped":1}');
    expect(await run(town, ['db Deployment/web'])).toBeUndefined();
  });

  it('is made while another replica may have put it in just now', async () => {
    const town = await openTown();
    await changed(town);
    expect(await run(town, [])).toBeUndefined();
    expect(town.rolls()).toEqual(['web 1']);
  });
});

describe('one process', () => {
  it('forgets of each roll that it has ended when that is so old that nobody asks', async () => {
    const town = await openTown();
    const { clock } = town.world;
    const ended = new Set(['of yesterday']);
    const rolls = [{ namespace: 'apps', workload: 'Deployment/web', at: clock.now() }];
    await lookAtRolls(rolls, { workloads: town.workloads, ended, call: {} });
    expect(ended.size).toBe(1);
    expect(ended).not.toContain('of yesterday');
  });

  it('that goes on sees what others add', async () => {
    const town = await openTown();
    await using restarts = await town.startRestarts();
    for (const text of ['second', 'third', 'fourth']) {
      await changed(town, text);
      expect(await restarts.run({ windowMs: WINDOW_MS, atOnce: 1 })).toEqual({});
    }
    expect(town.rolls()).toHaveLength(3);
  });

  it('and another at once do no harm', async () => {
    const town = await openTown({ targets: { db: ['Deployment/web'], api: ['Deployment/web'] } });
    await changed(town);
    await Promise.all([town.restart(), town.restart(), town.restart()]);
    expect(town.rolls()).toEqual(['web 2']);
    expect(town.story().filter((line) => line.startsWith('outcome'))).toHaveLength(2);
  });

  it('leaves alone what another instance has pending in the same audit', async () => {
    const town = await openTown();
    await changed(town);
    await using process = await town.world.start();
    const { audit, clock } = process.app;
    const others = createRestarts({ audit, clock, workloads: town.workloads, instances: ['other'] });
    expect(await others.run({ windowMs: 0, atOnce: 1 })).toEqual({});
    expect(town.rolls()).toEqual([]);
  });
});
