import type { AccessRequest, Cluster } from '../../cluster/cluster.ts';
import { workloadKind } from '../../cluster/workloads.ts';
import { AppError } from '../../core/errors.ts';
import type { Workload } from '../../core/mapping.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import { formatWorkload } from '../../sync/restart.ts';

/**
 * Checks whether secretbridge may restart the workloads that mappings name in `restart`. The workloads need not exist
 * yet, because they may be installed after the Secret.
 */
export async function checkRestarts(
  cluster: Cluster,
  targets: readonly DesiredTarget[],
  attempt: (name: string, work: () => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  if (cluster.workloads === undefined) return;
  const checked = new Set<string>();
  for (const { mapping, id } of targets)
    for (const workload of mapping.restart) {
      const about = `${formatWorkload(workload)} in ${id.namespace}`;
      if (checked.has(about)) continue;
      checked.add(about);
      await attempt(`workload: restart ${about} (mapping ${mapping.name})`, () =>
        askRights(cluster, id.namespace, workload),
      );
    }
}

async function askRights(
  cluster: Cluster,
  namespace: string,
  { kind: given, name }: Workload,
): Promise<void> {
  const kind = workloadKind(given);
  if (kind === undefined) throw new AppError('WORKLOAD_MISSING', { detail: 'its kind is unknown' });
  if (name === undefined)
    await requireRights(cluster, { namespace, workload: { kind } }, ['get', 'list', 'patch']);
  else await requireRights(cluster, { namespace, workload: { kind, name } }, ['get', 'patch']);
}

/** @throws AppError CLUSTER_FORBIDDEN that lists all missing verbs */
export async function requireRights(
  cluster: Cluster,
  about: Omit<AccessRequest, 'verb'>,
  verbs: readonly AccessRequest['verb'][],
  remedy: { readonly remedy?: string } = {},
): Promise<void> {
  const missing: string[] = [];
  for (const verb of verbs) if (!(await cluster.checkAccess({ ...about, verb }))) missing.push(verb);
  if (missing.length > 0)
    throw new AppError('CLUSTER_FORBIDDEN', { detail: `not allowed: ${missing.join(', ')}`, ...remedy });
}
