import type { Clock } from '../core/clock.ts';
import type { TargetStatus } from '../service/service.ts';

type Aged = Pick<TargetStatus, 'mapping' | 'namespace' | 'staleSeconds'>;

/** Whole seconds since a target was in step; if it never was, since it was among the targets first. */
type Ages = (targets: readonly Aged[]) => (target: Aged) => number;

export function createAges({ now }: Pick<Clock, 'now'>): Ages {
  let firstSeen: ReadonlyMap<string, number> = new Map();
  return (targets) => {
    const at = now();
    const never = targets.filter(({ staleSeconds }) => staleSeconds === null).map(nameOf);
    firstSeen = new Map(never.map((name) => [name, firstSeen.get(name) ?? at]));
    const since = (target: Aged): number => firstSeen.get(nameOf(target)) ?? at;
    return (target) => target.staleSeconds ?? Math.max(0, Math.floor((at - since(target)) / 1_000));
  };
}

/** A mapping has one target in a namespace. */
function nameOf({ mapping, namespace }: Aged): string {
  return `${namespace}/${mapping}`;
}
