import { afterEach, expect, it, vi } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { formatTarget } from '../../src/core/target.ts';
import type { Origin, TakeHints } from '../../src/events/hint.ts';
import { silentLogger } from '../../src/log/logger.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import { resolveTargets } from '../../src/reconcile/targets.ts';
import { startController } from '../../src/service/controller.ts';
import { createRandom } from '../integration/e2e/random.ts';
import { openWorld } from '../reconcile/world.ts';

/** The way from a store that changes to the service. */
export interface Channel extends AsyncDisposable {
  /** Something that tells of a change of this key arrives. */
  deliver(key: string): void;
  /** Resolves when all that has arrived was taken. */
  drained(): Promise<void>;
}

export type OpenChannel = (take: TakeHints, origin: Origin) => Promise<Channel>;

export const STORE = 'vault';
const REFRESH_MS = 300_000;
const KEYS = Array.from({ length: 100 }, (_, n) => (n < 90 ? `k${n}` : `found/f${n}`));
const ROTATIONS = 1_000;
const TICK_MS = 1_000;

/** One target for most keys, some of two keys, two of the same key, and one of all that a search finds. */
function mappings(): string {
  const source = (key: string) => `{ store: ${STORE}, key: ${key} }`;
  const one = (name: string, data: string) => `
  - { name: ${name}, target: { namespace: apps }, data: { ${data} } }`;
  return [
    ...KEYS.slice(0, 60).map((key) => one(`t-${key}`, `A: ${source(key)}`)),
    ...KEYS.slice(60, 75).map((key, n) => one(`t-${key}`, `A: ${source(key)}, B: ${source(`k${75 + n}`)}`)),
    ...KEYS.slice(0, 5).map((key) => one(`again-${key}`, `A: ${source(key)}`)),
    `
  - { name: all, target: { namespace: apps }, dataFrom: [ { store: ${STORE}, find: { path: found } } ] }`,
  ].join('');
}

async function open(openChannel: OpenChannel) {
  // The controller's own loops tick by these: they must keep pace with the clock, or a busy machine would sweep more
  // often than an idle one.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const world = await openWorld({ mappings: mappings() });
  const { clock, cluster, store } = world;
  for (const key of KEYS) store.put(key, 'v0', '0');
  /** What each target held after each write, as its keys and values. */
  const written = new Map<string, Readonly<Record<string, string>>[]>();
  const dataAt = (target: string): Readonly<Record<string, string>> => {
    const [namespace = '', secret = ''] = target.split('/');
    const data = objectIn(cluster.raw({ namespace, secret }) ?? {}, 'data') ?? {};
    return Object.fromEntries(
      Object.entries(data).map(([name, value]) => [name, Buffer.from(String(value), 'base64').toString()]),
    );
  };
  let seen = 0;
  const { app } = await world.start(({ phase }) => {
    // Several may have been carried out before the first of them is told.
    for (; phase === 'after' && seen < cluster.writes.length; seen += 1) {
      const target = formatTarget(cluster.writes[seen]?.id ?? { namespace: '', secret: '' });
      written.set(target, [...(written.get(target) ?? []), dataAt(target)]);
    }
  });
  const queue = createMemoryQueue({ concurrency: 64, timers: clock });
  const controller = await startController({
    clock,
    wake: clock.wake,
    logger: silentLogger,
    random: () => 0.5,
    instance: 'prod',
    heldId: () => 'held',
    queue,
    cluster,
    audit: app.audit,
    scope: 'namespace',
    concurrency: 16,
    restartWindowMs: () => 1_000,
    mappings: () => app.config.mappings,
    resolve: () => resolveTargets(app.config.mappings, cluster, undefined),
    stores: {
      definitions: () => app.stores.definitions,
      tellsVersions: () => false,
      isDown: () => false,
      onAnswer: () => undefined,
      namesOf: (_, key) => [key],
    },
    beginPass: async () => app.pass(),
    destroy: async () => [],
    restart: async () => undefined,
    recover: async () => 0,
    onOutcome: () => undefined,
    onCycle: () => undefined,
    agrees: () => true,
  });
  const channel = await openChannel(controller.take, { kind: 'webhook', name: 'chaos' });
  return {
    now: clock.now,
    async advance(ms: number) {
      for (let left = ms; left > 0; left -= TICK_MS) {
        const step = Math.min(TICK_MS, left);
        await clock.advance(step);
        vi.advanceTimersByTime(step);
      }
    },
    store,
    cluster,
    channel,
    written,
    dataAt,
    /** Whether every slot of the store was looked at since. */
    isSwept: (since: number) =>
      [...controller.generation().slots.keys()].every(
        (slot) => (controller.board.swept(slot)?.at ?? 0) >= since,
      ),
    async [Symbol.asyncDispose]() {
      await channel[Symbol.asyncDispose]();
      await controller.close(1_000);
    },
  };
}

/** Registers the suite of one way in which events come. */
export function describeChaos(name: string, openChannel: OpenChannel, seeds: readonly number[]): void {
  afterEach(() => {
    vi.useRealTimers();
  });
  it.each(seeds)(
    `%i: ${name}, a tenth lost, a tenth doubled, all mixed up: all is in step within one sweep`,
    {
      timeout: 60_000,
    },
    async (seed) => {
      await using it = await open(openChannel);
      const random = createRandom(seed);
      const current = new Map(KEYS.map((key) => [key, 'v0']));
      const isWritten = (target: string, want: Readonly<Record<string, string>>) =>
        expect([target, it.dataAt(target)]).toEqual([target, want]);
      const checkAll = () => {
        const latest = (key: string) => current.get(key) ?? '';
        for (const key of KEYS.slice(0, 60)) isWritten(`apps/t-${key}`, { A: latest(key) });
        for (const [n, key] of KEYS.slice(60, 75).entries())
          isWritten(`apps/t-${key}`, { A: latest(key), B: latest(`k${75 + n}`) });
        for (const key of KEYS.slice(0, 5)) isWritten(`apps/again-${key}`, { A: latest(key) });
        const found = KEYS.slice(90).map((key) => [key.replace('found/', ''), latest(key)]);
        isWritten('apps/all', Object.fromEntries(found));
      };
      // Jobs that find no place wait for a while, so the clock has to go on.
      const untilInStep = () =>
        vi.waitFor(
          async () => {
            await it.advance(500);
            checkAll();
          },
          { timeout: 20_000 },
        );
      await untilInStep();

      const onTheWay: { readonly key: string; readonly at: number }[] = [];
      const arrive = (until: number) => {
        for (const event of onTheWay.filter(({ at }) => at <= until)) {
          onTheWay.splice(onTheWay.indexOf(event), 1);
          it.channel.deliver(event.key);
        }
      };
      for (let n = 1; n <= ROTATIONS; n += 1) {
        const key = KEYS[Math.floor(random() * KEYS.length)] ?? '';
        current.set(key, `v${n}`);
        it.store.put(key, `v${n}`, `${n}`);
        const fate = random();
        const copies = fate < 0.1 ? 0 : fate < 0.2 ? 2 : 1;
        for (let copy = 0; copy < copies; copy += 1) onTheWay.push({ key, at: it.now() + random() * 3_000 });
        await it.advance(Math.floor(random() * 40));
        arrive(it.now());
      }
      arrive(Number.POSITIVE_INFINITY);
      await it.channel.drained();
      await it.advance(5_000);
      const byEvents = it.cluster.writes.length;
      expect(byEvents).toBeGreaterThan(ROTATIONS / 4);

      // One sweep takes up what was lost.
      await it.advance(REFRESH_MS * 1.1);
      await untilInStep();
      // Values only get newer, and every write makes a difference: none was made twice, none was taken back.
      for (const [target, states] of it.written)
        for (const [index, state] of states.entries()) {
          const before = states[index - 1];
          if (before === undefined) continue;
          const changes = Object.entries(state).map(
            ([part, value]) => numberOf(value) - numberOf(before[part]),
          );
          expect([target, changes.every((step) => step >= 0), changes.some((step) => step > 0)]).toEqual([
            target,
            true,
            true,
          ]);
        }
      // And a second one finds nothing to do.
      const writes = it.cluster.writes.length;
      const since = it.now();
      await vi.waitFor(
        async () => {
          await it.advance(REFRESH_MS / 10);
          expect(it.isSwept(since)).toBe(true);
        },
        { timeout: 20_000 },
      );
      expect(it.cluster.writes.length).toBe(writes);
    },
  );
}

function numberOf(value: string | undefined): number {
  return Number(value?.slice(1) ?? -1);
}
