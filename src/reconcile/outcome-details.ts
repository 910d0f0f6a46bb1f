import type { LiveSecret } from '../core/secret.ts';
import { certificateExpiry } from '../sync/checks.ts';
import type { Desired } from '../sync/desired.ts';
import type { Plan } from '../sync/plan.ts';
import type { Outcome, SourceVersion } from './outcome.ts';

type OutcomeDetails = Pick<Outcome, 'resourceVersion' | 'sources' | 'certificateExpiresAt'>;

export function outcomeDetails(
  plan: Plan,
  live: LiveSecret | undefined,
  desired: Desired,
  isCarriedOut: boolean,
): OutcomeDetails {
  const current = isCarriedOut ? (writtenBy(plan) ?? live) : live;
  const certificateExpiresAt = current && certificateExpiry(current.type, current.data);
  const sources = versionsOf(desired);
  return {
    ...(live === undefined ? {} : { resourceVersion: live.resourceVersion }),
    ...(sources === undefined ? {} : { sources }),
    ...(certificateExpiresAt === undefined ? {} : { certificateExpiresAt }),
  };
}

function writtenBy(plan: Plan): Pick<LiveSecret, 'type' | 'data'> | undefined {
  if (plan.kind === 'create') return plan.manifest;
  return plan.kind === 'update' ? plan.change : undefined;
}

function versionsOf(desired: Desired): readonly SourceVersion[] | undefined {
  if (desired.kind !== 'ready') return undefined;
  const versions = new Map<string, SourceVersion>();
  for (const [name, { store, key, version }] of desired.sources) {
    const createdAt = desired.createdAt?.get(name);
    const sourceVersion = { store, key, version, ...(createdAt === undefined ? {} : { createdAt }) };
    versions.set(JSON.stringify([store, key, version]), sourceVersion);
  }
  return [...versions.values()];
}
