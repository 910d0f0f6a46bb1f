import fc from 'fast-check';
import { expect, it } from 'vitest';
import { refId } from '../../src/core/read-result.ts';
import { SnapshotIndex } from '../../src/service/config-snapshot.ts';
import { source } from '../sync/sample.ts';
import { failed, meta, openResync, queueAway, STORES, settled, targetState, wanted } from './sample.ts';

const TARGETS = ['a', 'b', 'c'].map((name) => wanted({ name, data: { A: source({ key: 'shared' }) } }));
const REF = refId({ store: 'vault', ref: { key: 'shared' } });

const target = fc.nat(TARGETS.length - 1);
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('edit' as const, 'delete' as const), target }),
  fc.record({ kind: fc.constantFrom('rotate' as const, 'break' as const, 'repair' as const) }),
  fc.record({ kind: fc.constantFrom('hint' as const, 'reconfigure' as const), target }),
  fc.record({ kind: fc.constantFrom('run' as const, 'lose' as const), jobs: fc.nat(3) }),
  fc.record({ kind: fc.constantFrom('queue down' as const, 'queue up' as const) }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(90_000) }),
  fc.record({ kind: fc.constant('set back' as const), ms: fc.nat(3_600_000) }),
);

/** A store and a cluster whose changes reach the resync, with a queue that may lose every job. */
function openWorld() {
  const parts = openResync(TARGETS);
  const { clock, states, queue, sources, resync, state, snapshot } = parts;
  const index = new SnapshotIndex(() => true);
  state.snapshot = index.update({ mappings: [], targets: TARGETS }).now;
  let version = 1;
  let isBroken = false;
  let isUnseen = false;
  let resourceVersion = 0;
  /** The version of the source in each Secret. */
  const secrets = new Map<string, string>();
  const edited = new Set<string>();

  const show = (name: string): void => {
    const [desired] = snapshot().forTarget({ namespace: 'apps', secret: name });
    if (desired === undefined) return;
    const content = secrets.get(name);
    if (content === undefined) {
      resync.deleted(desired.id);
      return;
    }
    resourceVersion += 1;
    const written = meta(desired, { A: ['shared', content] });
    resync.changed({ ...written, foreign: edited.has(name), resourceVersion: `${resourceVersion}` });
  };
  const check = (): void => {
    const at = { steady: states.steadyClock.now(), wall: clock.now() };
    if (!isBroken) sources.note(REF, { kind: 'version', version: `${version}`, by: 'list' }, false, at);
    resync.check(TARGETS.map(({ id }) => id));
  };
  /** Runs a job: writes the Secret if it differs from the source. */
  const run = (name: string): void => {
    const [desired] = snapshot().forTarget({ namespace: 'apps', secret: name });
    if (desired === undefined) return;
    const freshAt = states.steadyClock.now();
    const startedAt = clock.now();
    const times = { startedAt, endedAt: startedAt, mapping: name, target: desired.id };
    if (isBroken) {
      const alive = secrets.has(name);
      const retryAt = startedAt + 30_000;
      states.note(targetState({ ...times, ...failed('STORE_UNAVAILABLE'), alive, retryAt }), freshAt);
      return;
    }
    const isSame = secrets.get(name) === `${version}` && !edited.has(name);
    secrets.set(name, `${version}`);
    edited.delete(name);
    if (!isSame) show(name);
    const seen = states.meta(desired.id)?.resourceVersion ?? '0';
    states.note(targetState({ ...times, resourceVersion: seen }), freshAt);
    resync.check([desired.id]);
  };
  const jobs = () => queue.jobs.splice(0).map(({ job }) => job.subject.split('/').at(-1) ?? '');
  const reconfigure = (name: string): void => {
    const change = { mappings: new Set([name]), all: false };
    const at = states.steadyClock.now();
    state.snapshot = index.update({ mappings: [], targets: TARGETS, change, at }).now;
    resync.checkAll();
  };
  return {
    ...parts,
    secrets,
    edited,
    show,
    check,
    run,
    jobs,
    reconfigure,
    rotate() {
      version += 1;
      // A sweep finds the new version, unless the store is down.
      isUnseen = isBroken;
      check();
    },
    isUnseen: () => isUnseen,
    setBroken(broken: boolean) {
      if (isBroken && !broken) {
        isBroken = false;
        resync.storeRecovered('vault');
      }
      isBroken = broken;
    },
    wanted: () => `${version}`,
  };
}

it('every target is in sync after two resyncs, no matter which jobs were lost', async () => {
  expect(STORES.has('vault')).toBe(true);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const world = openWorld();
      const { clock, queue, states, resync, secrets } = world;
      const nameOf = (index: number) => TARGETS[index]?.mapping.name ?? '';
      for (const action of steps) {
        switch (action.kind) {
          case 'edit':
            if (secrets.has(nameOf(action.target))) world.edited.add(nameOf(action.target));
            world.show(nameOf(action.target));
            break;
          case 'delete':
            secrets.delete(nameOf(action.target));
            world.edited.delete(nameOf(action.target));
            world.show(nameOf(action.target));
            break;
          case 'rotate':
            world.rotate();
            break;
          case 'break':
          case 'repair':
            world.setBroken(action.kind === 'break');
            break;
          case 'hint':
            for (const { id } of TARGETS.slice(action.target)) {
              states.inputs(id).hint = { at: states.steadyClock.now(), requestId: 'hint' };
              resync.check([id]);
            }
            break;
          case 'reconfigure':
            world.reconfigure(nameOf(action.target));
            break;
          case 'run':
            for (const name of world.jobs().slice(0, action.jobs + 1)) world.run(name);
            break;
          case 'lose':
            queue.jobs.splice(0, action.jobs + 1);
            break;
          case 'queue down':
          case 'queue up':
            queue.failure = action.kind === 'queue down' ? queueAway() : undefined;
            break;
          case 'wait':
            clock.time += action.ms;
            break;
          case 'set back':
            clock.time -= action.ms;
        }
        await settled();
      }
      // Everything works again, but all jobs are lost.
      queue.failure = undefined;
      world.setBroken(false);
      if (world.isUnseen()) world.check();
      queue.jobs.splice(0);
      for (let round = 0; round < 2; round += 1) {
        clock.time += 61_000;
        resync.checkAll();
        for (const name of world.jobs()) world.run(name);
        await settled();
      }
      expect([...world.edited]).toEqual([]);
      expect([...secrets].sort()).toEqual(TARGETS.map(({ mapping }) => [mapping.name, world.wanted()]));
      // Nothing is left to do.
      clock.time += 61_000;
      queue.jobs.splice(0);
      resync.checkAll();
      expect(world.jobs()).toEqual([]);
    }),
    { numRuns: 500 },
  );
});
