import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { lookFor } from './sighting.ts';

/**
 * Gives each intent that a crash left open its outcome, by looking at the cluster. Those that cannot be looked at
 * now stay open, and so do those of other instances, whose cluster may be another. Resolves with how many were closed.
 */
export async function recoverIntents(
  audit: AuditStore,
  cluster: Pick<Cluster, 'read'>,
  instances: readonly string[],
): Promise<number> {
  let closed = 0;
  for (const intent of await audit.unresolved()) {
    if (!instances.includes(intent.instance)) continue;
    const outcome = await outcomeOf(intent, cluster);
    if (outcome === undefined) continue;
    await audit.append([outcome]);
    closed += 1;
  }
  return closed;
}

async function outcomeOf(intent: AuditRecord, cluster: Pick<Cluster, 'read'>): Promise<Entry | undefined> {
  const { namespace, secret, after, sources, resourceVersion, action, mapping = '' } = intent;
  if (namespace === undefined || secret === undefined) return undefined;
  const found = await lookFor(
    {
      target: { namespace, secret },
      action,
      mapping,
      sources,
      ...(after === undefined ? {} : { after }),
      ...(resourceVersion === undefined ? {} : { replaces: resourceVersion }),
    },
    cluster,
  );
  if (found.kind === 'unknown') return undefined;
  const { resourceVersion: _, ...same } = intent;
  const base = {
    ...same,
    actor: { kind: 'startup' },
    phase: 'outcome',
    note: 'found after a crash',
  } as const;
  return found.kind === 'applied'
    ? {
        ...base,
        outcome: 'ok',
        ...(found.resourceVersion === undefined ? {} : { resourceVersion: found.resourceVersion }),
      }
    : { ...base, outcome: 'failed', code: 'INTERRUPTED' };
}
