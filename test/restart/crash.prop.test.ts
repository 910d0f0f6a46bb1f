import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { AppError } from '../../src/core/errors.ts';
import { restartAnnotation } from '../../src/sync/restart.ts';
import { Crash, crashAt } from '../fakes/faulty.ts';
import { deployment, openRestartFixture, type RestartFixture, WINDOW_MS } from './fixture.ts';

const OPTIONS = {
  targets: {
    a: ['Deployment/one', 'Deployment/two'],
    b: ['Deployment/one'],
    c: ['Deployment with app=x', 'Deployment/one'],
  },
  deployments: { one: {}, two: { app: 'x' }, three: { app: 'x' } },
};
const NAMES = Object.keys(OPTIONS.deployments);
/** The Secrets of each workload. */
const SECRETS: Readonly<Record<string, readonly string[]>> = {
  one: ['a', 'b', 'c'],
  two: ['a', 'c'],
  three: ['c'],
};

async function crashing(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    // If other callers wait for the same read, they get an error whose cause is the injected crash.
    const cause = thrown instanceof AppError ? thrown.cause : thrown;
    if (!(cause instanceof Crash)) throw thrown;
  }
}

function wait(fixture: RestartFixture, ms: number): void {
  fixture.world.clock.set(fixture.world.clock.now() + ms);
}

/** Runs all pending restarts, one rollout after another. */
async function drain(fixture: RestartFixture): Promise<void> {
  await fixture.recover();
  await fixture.reconcile();
  for (let ms: number | undefined = WINDOW_MS; ms !== undefined; ms = await fixture.restart({ atOnce: 2 })) {
    for (const name of NAMES) fixture.workloads.settle(deployment(name));
    wait(fixture, ms);
  }
}

async function templateOf(
  fixture: RestartFixture,
  name: string,
  secret: string,
): Promise<string | undefined> {
  const live = await fixture.workloads.read(deployment(name));
  return live?.podAnnotations[restartAnnotation(secret)];
}

function fingerprintOf(fixture: RestartFixture, secret: string): unknown {
  const raw = fixture.world.cluster.raw({ namespace: 'apps', secret }) ?? {};
  return objectIn(objectIn(raw, 'metadata') ?? {}, 'annotations')?.['secretbridge.dev/fingerprint'];
}

/** Returns the restart intents without an outcome. Each is identified by the fields that it shares with its outcome. */
function open(fixture: RestartFixture): readonly string[] {
  const key = ({ requestId, namespace, secret, attempt }: (typeof fixture.world.records)[number]) =>
    JSON.stringify([requestId, namespace, secret, attempt]);
  const found = new Set<string>();
  for (const record of fixture.world.records) {
    if (record.phase === 'intent') found.add(key(record));
    if (record.phase === 'outcome') found.delete(key(record));
  }
  return [...found];
}

describe('restarts', () => {
  it('no restart is lost or repeated after a crash between any two steps', async () => {
    const day = async (fixture: RestartFixture, watch = crashAt(0).watch) => {
      fixture.change('second');
      await crashing(async () => {
        await fixture.reconcile(watch);
        wait(fixture, WINDOW_MS);
        for (let more = true; more; ) more = (await fixture.restart({ watch, atOnce: 5 })) !== undefined;
      });
      await drain(fixture);
    };
    const calm = crashAt(0);
    await day(await openRestartFixture(OPTIONS), calm.watch);
    expect(calm.steps).toContain('before workloads.annotatePods');
    for (let step = 1; step <= calm.steps.length; step += 1) {
      const about = `crash at step ${step}: ${calm.steps[step - 1]}`;
      const fixture = await openRestartFixture(OPTIONS);
      await day(fixture, crashAt(step).watch);
      expect(fixture.rollouts().toSorted(), about).toEqual(['one 3', 'three 1', 'two 2']);
      expect(open(fixture), about).toEqual([]);
      expect(await fixture.world.chain(), about).toMatchObject({ kind: 'intact' });
    }
    console.log(`${calm.steps.length} crashes`);
  }, 60_000);
});

type Event =
  | { readonly kind: 'change'; readonly key: string; readonly text: string }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'settle'; readonly name: string }
  | { readonly kind: 'reconcile' | 'restart'; readonly crash: number };

const crash = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 40 }));
const event: fc.Arbitrary<Event> = fc.oneof(
  fc.record({
    kind: fc.constant('change' as const),
    key: fc.constantFrom('a', 'b', 'c'),
    text: fc.constantFrom('x', 'y', 'z'),
  }),
  fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(1_000, 5_000, 30_000) }),
  fc.record({ kind: fc.constant('settle' as const), name: fc.constantFrom(...NAMES) }),
  fc.record({ kind: fc.constant('reconcile' as const), crash }),
  fc.record({ kind: fc.constant('restart' as const), crash }),
);

describe('random events', () => {
  it('during random events, every new content reaches the pods, the rollouts stay within the budget, and each window has at most one restart', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 25 }), async (events) => {
        const fixture = await openRestartFixture(OPTIONS);
        const first = new Map(['a', 'b', 'c'].map((secret) => [secret, fingerprintOf(fixture, secret)]));
        const rolledAt = new Map<string, number>();
        let seen = 0;
        const check = async () => {
          const live = await Promise.all(NAMES.map((name) => fixture.workloads.read(deployment(name))));
          expect(live.filter((liveWorkload) => liveWorkload?.rolling).length).toBeLessThanOrEqual(2);
          for (const { id, annotations } of fixture.workloads.annotated.slice(seen)) {
            const before = rolledAt.get(id.name);
            if (before !== undefined)
              expect(fixture.world.clock.now() - before).toBeGreaterThanOrEqual(WINDOW_MS);
            rolledAt.set(id.name, fixture.world.clock.now());
            expect(Object.keys(annotations).length).toBeGreaterThan(0);
          }
          seen = fixture.workloads.annotated.length;
        };
        for (const step of events) {
          if (step.kind === 'change') fixture.change(step.text, step.key);
          else if (step.kind === 'wait') wait(fixture, step.ms);
          else if (step.kind === 'settle') fixture.workloads.settle(deployment(step.name));
          else {
            const { watch } = crashAt(step.crash);
            await crashing(() =>
              step.kind === 'reconcile' ? fixture.reconcile(watch) : fixture.restart({ watch, atOnce: 2 }),
            );
          }
          await check();
        }
        await drain(fixture);
        expect(open(fixture)).toEqual([]);
        for (const [name, secrets] of Object.entries(SECRETS))
          for (const secret of secrets) {
            const template = await templateOf(fixture, name, secret);
            // Pods that were never restarted have the content from their creation.
            expect(template ?? first.get(secret)).toBe(fingerprintOf(fixture, secret));
          }
        const { length } = fixture.workloads.annotated;
        await drain(fixture);
        expect(fixture.workloads.annotated).toHaveLength(length);
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
