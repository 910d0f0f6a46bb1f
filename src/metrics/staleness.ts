import type { Clock } from '../core/clock.ts';
import type { TargetStatus } from '../service/service.ts';

type StalenessInput = Pick<TargetStatus, 'mapping' | 'namespace' | 'staleSeconds'>;

/**
 * Returns the seconds since the last successful sync of a target, as an integer. If the target never synced, returns
 * the seconds since it first appeared.
 */
type Staleness = (targets: readonly StalenessInput[]) => (target: StalenessInput) => number;

export function createStaleness({ now }: Pick<Clock, 'now'>): Staleness {
  let firstSeen: ReadonlyMap<string, number> = new Map();
  return (targets) => {
    const nowMs = now();
    const neverSynced = targets.filter(({ staleSeconds }) => staleSeconds === null).map(nameOf);
    firstSeen = new Map(neverSynced.map((name) => [name, firstSeen.get(name) ?? nowMs]));
    const since = (target: StalenessInput): number => firstSeen.get(nameOf(target)) ?? nowMs;
    return (target) => target.staleSeconds ?? Math.max(0, Math.floor((nowMs - since(target)) / 1_000));
  };
}

/** A mapping has at most one target in each namespace. */
function nameOf({ mapping, namespace }: StalenessInput): string {
  return `${namespace}/${mapping}`;
}
