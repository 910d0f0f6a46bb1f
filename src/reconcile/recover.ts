import type { AuditRecord, Entry } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Workload } from '../core/mapping.ts';
import { createLeftOpen, type LeftOpen } from './left-open.ts';
import { restartIntents } from './restart-intents.ts';
import { lookFor, SEEN_IN_CLUSTER } from './sighting.ts';

export interface RecoverDeps {
  readonly audit: AuditStore;
  readonly cluster: Pick<Cluster, 'read'>;
  /** This one and those that it was before. */
  readonly instances: readonly string[];
  /** What a mapping wants restarted, since a change that is found to be made counts like any other. */
  readonly restartOf?: (mapping: string) => readonly Workload[];
  /** What this process left open itself. */
  readonly leftOpen?: LeftOpen;
}

/**
 * Gives each intent that was left open its outcome, by looking at the cluster: by a process that crashed, and by
 * this one when it could not record what became of a change. Those that cannot be looked at now stay open, and so do
 * those of other instances, whose cluster may be another. Resolves with how many were closed.
 */
export async function recoverIntents({
  audit,
  cluster,
  instances,
  restartOf = () => [],
  leftOpen = createLeftOpen(),
}: RecoverDeps): Promise<number> {
  // The restart of a workload is work that waits; whoever takes it up looks at the workload.
  const left = async () =>
    (await leftOpen.look(() => audit.unresolved(leftOpen.has))).filter(
      ({ instance, action }) => instances.includes(instance) && action !== 'restart',
    );
  if ((await left()).length === 0) return 0;
  // One at a time, since two that look together would each record what became of it.
  return audit.exclusively('recover', async () =>
    closeAll(await left(), { audit, cluster, restartOf, leftOpen }),
  );
}

async function closeAll(
  intents: readonly AuditRecord[],
  { audit, cluster, restartOf, leftOpen }: Required<Omit<RecoverDeps, 'instances'>>,
): Promise<number> {
  let closed = 0;
  for (const intent of intents) {
    const outcome = await outcomeOf(intent, cluster, leftOpen.has(intent));
    if (outcome === undefined) continue;
    // A deletion between two versions of a target is no content that pods could read.
    const restart = intent.action === 'delete' ? [] : restartOf(intent.mapping ?? '');
    await audit.append([outcome, ...restartIntents(outcome, restart)]);
    closed += 1;
  }
  return closed;
}

async function outcomeOf(
  intent: AuditRecord,
  cluster: Pick<Cluster, 'read'>,
  isOurs: boolean,
): Promise<Entry | undefined> {
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
    ...(isOurs
      ? { note: SEEN_IN_CLUSTER }
      : { actor: { kind: 'startup' } as const, note: 'found after a crash' }),
    phase: 'outcome',
  } as const;
  return found.kind === 'applied'
    ? {
        ...base,
        outcome: 'ok',
        ...(found.resourceVersion === undefined ? {} : { resourceVersion: found.resourceVersion }),
      }
    : { ...base, outcome: 'failed', code: 'INTERRUPTED' };
}
