import { afterEach, expect, it, vi } from 'vitest';
import { objectIn } from '../../src/cluster/json.ts';
import { formatTarget } from '../../src/core/target.ts';
import type { Origin, SubmitHints } from '../../src/events/hint.ts';
import { createMemoryQueue } from '../../src/queue/memory.ts';
import { resolveTargets } from '../../src/reconcile/targets.ts';
import { startController } from '../../src/service/controller.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createRandom } from '../integration/e2e/random.ts';
import { openWorld } from '../reconcile/world.ts';

/** Transports events about a changing store to the service. */
export interface Channel extends AsyncDisposable {
  /** Delivers an event about a change of this key. */
  deliver(key: string): void;
  /** Resolves when every delivered event has been processed. */
  drained(): Promise<void>;
}

export type OpenChannel = (take: SubmitHints, origin: Origin) => Promise<Channel>;

export const STORE = 'vault';
const REFRESH_MS = 300_000;
const KEYS = Array.from({ length: 100 }, (_, n) => (n < 90 ? `k${n}` : `found/f${n}`));
const ROTATIONS = 1_000;
const TICK_MS = 1_000;

/**
 * Returns the mappings. Most keys have one target. Some targets use two keys, some keys have two targets, and one
 * target uses a search.
 */
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
  // The loops of the controller use `setInterval`. With real timers, the test would take longer on a busy machine, and
  // more sweeps would run.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const world = await openWorld({ mappings: mappings() });
  const { clock, cluster, store } = world;
  for (const key of KEYS) store.put(key, 'v0', '0');
  /** The data of each target after each of its writes. */
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
    // There may be several writes between two calls of this callback, so record all new writes.
    for (; phase === 'after' && seen < cluster.writes.length; seen += 1) {
      const target = formatTarget(cluster.writes[seen]?.id ?? { namespace: '', secret: '' });
      written.set(target, [...(written.get(target) ?? []), dataAt(target)]);
    }
  });
  const queue = createMemoryQueue({ concurrency: 64, timers: clock });
  const controller = await startController({
    runtime: { clock, wake: clock.wake, logger: silentLogger, random: () => 0.5 },
    ports: {
      queue,
      cluster,
      audit: app.audit,
      stores: {
        definitions: () => app.stores.definitions,
        tellsVersions: () => false,
        isDown: () => false,
        onAnswer: () => undefined,
        namesOf: (_, key) => [key],
      },
    },
    config: {
      instance: 'prod',
      scope: 'namespace',
      concurrency: 16,
      restartWindowMs: () => 1_000,
      channels: () => [],
      mappings: () => app.config.mappings,
      resolve: () => resolveTargets(app.config.mappings, cluster, undefined),
    },
    steps: {
      resumeApproved: async () => undefined,
      notify: async () => undefined,
      heldId: () => 'held',
      openContext: async () => app.createContext(),
      destroy: async () => [],
      restart: async () => undefined,
      recover: async () => 0,
      hasOpenFailure: async () => false,
    },
    replicas: { replicasAgree: () => true },
    metrics: { onOutcome: () => undefined, onCycle: () => undefined },
  });
  const channel = await openChannel(controller.takeHints, { kind: 'webhook', name: 'chaos' });
  return {
    now: clock.now,
    async advance(ms: number) {
      for (let remainingMs = ms; remainingMs > 0; remainingMs -= TICK_MS) {
        const step = Math.min(TICK_MS, remainingMs);
        await clock.advance(step);
        vi.advanceTimersByTime(step);
      }
    },
    store,
    cluster,
    channel,
    written,
    dataAt,
    /** Reports whether every shard of the store was swept since this time. */
    isSwept: (since: number) =>
      [...controller.snapshot().shards.keys()].every(
        (shard) => (controller.states.sweepState(shard)?.at ?? 0) >= since,
      ),
    async [Symbol.asyncDispose]() {
      await channel[Symbol.asyncDispose]();
      await controller.close(1_000);
    },
  };
}

/** Registers the suite for one transport of events. */
export function describeChaos(name: string, openChannel: OpenChannel, seeds: readonly number[]): void {
  afterEach(() => {
    vi.useRealTimers();
  });
  it.each(seeds)(
    `%i: ${name} with lost, duplicated and reordered events: one sweep brings every target up to date`,
    {
      timeout: 60_000,
    },
    async (seed) => {
      await using service = await open(openChannel);
      const random = createRandom(seed);
      const current = new Map(KEYS.map((key) => [key, 'v0']));
      const isWritten = (target: string, want: Readonly<Record<string, string>>) =>
        expect([target, service.dataAt(target)]).toEqual([target, want]);
      const checkAll = () => {
        const latest = (key: string) => current.get(key) ?? '';
        for (const key of KEYS.slice(0, 60)) isWritten(`apps/t-${key}`, { A: latest(key) });
        for (const [n, key] of KEYS.slice(60, 75).entries())
          isWritten(`apps/t-${key}`, { A: latest(key), B: latest(`k${75 + n}`) });
        for (const key of KEYS.slice(0, 5)) isWritten(`apps/again-${key}`, { A: latest(key) });
        const searchData = KEYS.slice(90).map((key) => [key.replace('found/', ''), latest(key)]);
        isWritten('apps/all', Object.fromEntries(searchData));
      };
      // Jobs wait for a free worker, so the clock must advance.
      const untilInStep = () =>
        vi.waitFor(
          async () => {
            await service.advance(500);
            checkAll();
          },
          { timeout: 20_000 },
        );
      await untilInStep();

      const inTransit: { readonly key: string; readonly at: number }[] = [];
      const arrive = (until: number) => {
        for (const event of inTransit.filter(({ at }) => at <= until)) {
          inTransit.splice(inTransit.indexOf(event), 1);
          service.channel.deliver(event.key);
        }
      };
      for (let n = 1; n <= ROTATIONS; n += 1) {
        const key = KEYS[Math.floor(random() * KEYS.length)] ?? '';
        current.set(key, `v${n}`);
        service.store.put(key, `v${n}`, `${n}`);
        const fate = random();
        const copies = fate < 0.1 ? 0 : fate < 0.2 ? 2 : 1;
        for (let copy = 0; copy < copies; copy += 1)
          inTransit.push({ key, at: service.now() + random() * 3_000 });
        await service.advance(Math.floor(random() * 40));
        arrive(service.now());
      }
      arrive(Number.POSITIVE_INFINITY);
      await service.channel.drained();
      await service.advance(5_000);
      const byEvents = service.cluster.writes.length;
      expect(byEvents).toBeGreaterThan(ROTATIONS / 4);

      // One sweep applies the changes whose events were lost.
      await service.advance(REFRESH_MS * 1.1);
      await untilInStep();
      // Each write of a target must change a value, and values must only become newer. Otherwise, a write was repeated
      // or reverted.
      for (const [target, states] of service.written)
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
      // A second sweep finds no changes.
      const writes = service.cluster.writes.length;
      const since = service.now();
      await vi.waitFor(
        async () => {
          await service.advance(REFRESH_MS / 10);
          expect(service.isSwept(since)).toBe(true);
        },
        { timeout: 20_000 },
      );
      expect(service.cluster.writes.length).toBe(writes);
    },
  );
}

function numberOf(value: string | undefined): number {
  return Number(value?.slice(1) ?? -1);
}
