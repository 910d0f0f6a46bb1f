import type { Clock } from '../core/clock.ts';
import { smallest } from '../core/lists.ts';
import type { TargetId } from '../core/target.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import { EXPIRES_SOON_MS } from './status.ts';
import type { SourceAges } from './sweep/source-ages.ts';
import type { TargetStates } from './target-states.ts';

/** What notifications must know besides the audit. */
export interface NotifyInput {
  /** For each target that is known to expire, or not to: whether it expires soon. */
  readonly expiries: readonly (TargetId & { readonly mapping: string; readonly isSoon: boolean })[];
  readonly isConfigured: (mapping: string, target: TargetId) => boolean;
}

interface NotifyInputDeps {
  readonly snapshot: () => ConfigSnapshot;
  readonly states: TargetStates;
  readonly ages: Pick<SourceAges, 'firstExpiry'>;
  readonly clock: Clock;
}

/**
 * A process that has just started does not know all sources of a mapping yet. So it may say that a target expires, but
 * not that it no longer does.
 */
const UNKNOWN_ROUNDS = 2;

export function notifyInput({ snapshot, states, ages, clock }: NotifyInputDeps): NotifyInput {
  const now = clock.now();
  const current = snapshot();
  const known = new Map(current.mappings.map((mapping) => [mapping.name, ages.firstExpiry(mapping)]));
  const expiries = current.targets.flatMap(({ mapping, id, error }) => {
    if (error !== undefined) return [];
    const ofCertificate = states.get(mapping.name, id)?.certificateExpiresAt;
    const times = [known.get(mapping.name), ofCertificate].filter((at) => at !== undefined);
    if (times.length === 0) return [];
    const isSoon = smallest(times) - now <= EXPIRES_SOON_MS;
    const isSure = isSoon || now - states.startedAt > UNKNOWN_ROUNDS * mapping.refreshMs;
    return isSure ? [{ mapping: mapping.name, ...id, isSoon }] : [];
  });
  // While the namespaces of a selector are unknown, any target of its mapping may be configured.
  const unresolved = new Set(current.targets.flatMap(({ mapping, error }) => (error ? mapping.name : [])));
  return {
    expiries,
    isConfigured: (mapping, target) =>
      unresolved.has(mapping) || desiredIn(current, { mapping, target }) !== undefined,
  };
}
