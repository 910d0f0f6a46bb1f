import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditRecord } from '../../src/audit/entry.ts';
import type { Answer } from '../integration/services/http.ts';
import { any, repeatedly } from './changes.ts';
import type { Scene } from './scene.ts';
import type { Change } from './witness.ts';
import { NAMESPACES, type World } from './world.ts';

/** A time in which a target had to stay as it was pinned. */
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

const EVERY_MS = 8_000;
const AGAIN_MS = 1_000;
/** The store keeps ten versions. */
const MOST_BEHIND = 6;
/** What was decided before a pin may be written so long after it, at most. */
const IN_FLIGHT_MS = 5_000;

/** Until the end: a person rolls targets back and lets them go, while their source goes on. */
export function startPinning(
  scene: Scene,
  world: World,
  { random, endsAt }: { random: () => number; endsAt: number },
): Pinning {
  const items = world.items.filter(({ kind }) => kind === 'pinned');
  const pinned: Pinned[] = [];

  /** Until a replica has taken it or refused it: what nobody answered may have been done. */
  const order = async (path: string, body: object): Promise<Answer> => {
    for (let n = 0; ; n += 1) {
      const answer = await scene.replicas[n % scene.replicas.length]?.post(path, body);
      if (answer !== undefined && answer.status < 500) return answer;
      await sleep(AGAIN_MS);
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

  const turn = async (): Promise<void> => {
    const { name, key } = any(items, random);
    const namespace = any(NAMESPACES, random);
    const target = `${namespace}/${name}`;
    const now = world.version(key);
    if (random() < 0.4) {
      const behind = NAMESPACES.map((it) => now - (world.pins.get(`${it}/${name}`) ?? now));
      if (Math.max(...behind) < MOST_BEHIND) await scene.put(key, now + 1);
      return;
    }
    const path = `/api/v1/mappings/${name}`;
    const last = pinned.findLast((it) => it.target === target && it.until === undefined);
    if (last !== undefined) {
      last.until = Date.now();
      if (wasLetGo(await order(`${path}/unpin`, { namespace }))) world.pins.delete(target);
      return;
    }
    const version = Math.max(1, now - Math.floor(random() * 4));
    const to = await recordOf(name, namespace, version);
    if (to === undefined) return;
    if ((await order(`${path}/rollback`, { to, namespace })).status !== 200) return;
    world.pins.set(target, version);
    pinned.push({ target, version, from: Date.now() });
  };
  return {
    pinned,
    done: items.length === 0 ? Promise.resolve() : repeatedly(turn, EVERY_MS, { random, endsAt }),
  };
}

/** Where the answer was lost, whoever asks again is told that there is nothing to let go. */
export function wasLetGo({ status, body }: Answer): boolean {
  return status === 200 || (body as { readonly code?: string }).code === 'NOT_PINNED';
}

/** No sweep moves what is pinned. */
export function judgePins(changes: readonly Change[], pinned: readonly Pinned[]): readonly string[] {
  const byTarget = Map.groupBy(changes, ({ target }) => target);
  return pinned.flatMap(({ target, version, from, until = Number.POSITIVE_INFINITY }) =>
    (byTarget.get(target) ?? [])
      .filter(({ at, version: made }) => at > from + IN_FLIGHT_MS && at < until && made !== version)
      .map(
        ({ resourceVersion, version: made }) =>
          `${target}: ${resourceVersion} is of version ${made}, pinned to ${version}`,
      ),
  );
}
