import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditRecord } from '../../src/audit/entry.ts';
import type { Answer } from '../integration/services/http.ts';
import { pickRandom, repeatedly } from './changes.ts';
import type { Scene } from './scene.ts';
import type { Change } from './witness.ts';
import { NAMESPACES, type World } from './world.ts';

/** A period in which a target is pinned and must keep its version. */
export interface Pinned {
  readonly target: string;
  readonly version: number;
  readonly from: number;
  until?: number;
}

export interface Pinning {
  readonly pinned: readonly Pinned[];
  readonly done: Promise<void>;
}

const INTERVAL_MS = 8_000;
const RETRY_MS = 1_000;
/** The store keeps ten versions of a secret. */
const MAX_VERSIONS_BEHIND = 6;
/** After a pin, a write that started before the pin may still arrive. This is the maximum time until it arrives. */
const IN_FLIGHT_MS = 5_000;

/** Rolls targets back and unpins them until the end of the run, while their sources change. */
export function startPinning(
  scene: Scene,
  world: World,
  { random, endsAt }: { random: () => number; endsAt: number },
): Pinning {
  const items = world.items.filter(({ kind }) => kind === 'pinned');
  const pinned: Pinned[] = [];

  /** Repeats the request until a replica accepts or rejects it. A request without an answer may have taken effect. */
  const sendUntilAnswered = async (path: string, body: object): Promise<Answer> => {
    for (let n = 0; ; n += 1) {
      const answer = await scene.replicas[n % scene.replicas.length]?.post(path, body);
      if (answer !== undefined && answer.status < 500) return answer;
      await sleep(RETRY_MS);
    }
  };

  const recordOf = async (
    mapping: string,
    namespace: string,
    version: number,
  ): Promise<number | undefined> => {
    const query = new URLSearchParams({ mapping, namespace, outcome: 'ok', limit: '200' });
    for (const replica of scene.replicas) {
      const answer = await replica.get(`/api/v1/audit/records?${query}`);
      if (answer?.status !== 200) continue;
      const { records } = answer.body as { records: readonly AuditRecord[] };
      return records.find(
        ({ phase, sources }) => phase === 'outcome' && sources[0]?.version === String(version),
      )?.sequence;
    }
    return undefined;
  };

  const step = async (): Promise<void> => {
    const { name, key } = pickRandom(items, random);
    const namespace = pickRandom(NAMESPACES, random);
    const target = `${namespace}/${name}`;
    const now = world.version(key);
    if (random() < 0.4) {
      const behind = NAMESPACES.map((space) => now - (world.pins.get(`${space}/${name}`) ?? now));
      if (Math.max(...behind) < MAX_VERSIONS_BEHIND) await scene.put(key, now + 1);
      return;
    }
    const path = `/api/v1/mappings/${name}`;
    const last = pinned.findLast((pin) => pin.target === target && pin.until === undefined);
    if (last !== undefined) {
      last.until = Date.now();
      if (isUnpinned(await sendUntilAnswered(`${path}/unpin`, { namespace }))) world.pins.delete(target);
      return;
    }
    const version = Math.max(1, now - Math.floor(random() * 4));
    const to = await recordOf(name, namespace, version);
    if (to === undefined) return;
    if ((await sendUntilAnswered(`${path}/rollback`, { to, namespace })).status !== 200) return;
    world.pins.set(target, version);
    pinned.push({ target, version, from: Date.now() });
  };
  return {
    pinned,
    done: items.length === 0 ? Promise.resolve() : repeatedly(step, INTERVAL_MS, { random, endsAt }),
  };
}

/** An unpin can take effect even if its answer is lost. A repeated unpin then fails with NOT_PINNED. */
export function isUnpinned({ status, body }: Answer): boolean {
  return status === 200 || (body as { readonly code?: string }).code === 'NOT_PINNED';
}

/** Finds writes that changed the version of a pinned target. */
export function judgePins(changes: readonly Change[], pinned: readonly Pinned[]): readonly string[] {
  const byTarget = Map.groupBy(changes, ({ target }) => target);
  return pinned.flatMap(({ target, version, from, until = Number.POSITIVE_INFINITY }) =>
    (byTarget.get(target) ?? [])
      .filter(({ at, version: actual }) => at > from + IN_FLIGHT_MS && at < until && actual !== version)
      .map(
        ({ resourceVersion, version: actual }) =>
          `${target}: ${resourceVersion} has version ${actual}, pinned to ${version}`,
      ),
  );
}
