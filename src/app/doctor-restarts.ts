import type { Cluster } from '../cluster/cluster.ts';
import { WORKLOAD_KINDS } from '../cluster/workloads.ts';
import { AppError } from '../core/errors.ts';
import type { Workload } from '../core/mapping.ts';
import type { Wanted } from '../reconcile/targets.ts';
import { formatWorkload } from '../sync/restart.ts';

/**
 * The rights to roll what is named in `restart`. Not whether it is there: what waits for its Secret to be made is
 * installed after it.
 */
export async function checkRestarts(
  cluster: Cluster,
  targets: readonly Wanted[],
  attempt: (name: string, work: () => Promise<unknown>) => Promise<unknown>,
): Promise<void> {
  if (cluster.workloads === undefined) return;
  const asked = new Set<string>();
  for (const { mapping, id } of targets)
    for (const workload of mapping.restart) {
      const about = `${formatWorkload(workload)} in ${id.namespace}`;
      if (asked.has(about)) continue;
      asked.add(about);
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
  const kind = WORKLOAD_KINDS.find((one) => one === given);
  if (kind === undefined)
    throw new AppError('WORKLOAD_MISSING', { detail: 'it is of a kind that is not known' });
  const workload = { kind, ...(name === undefined ? {} : { name }) };
  const missing: string[] = [];
  for (const verb of ['get', ...(name === undefined ? (['list'] as const) : []), 'patch'] as const)
    if (!(await cluster.may({ namespace, verb, workload }))) missing.push(verb);
  if (missing.length > 0)
    throw new AppError('CLUSTER_FORBIDDEN', { detail: `not allowed: ${missing.join(', ')}` });
}
