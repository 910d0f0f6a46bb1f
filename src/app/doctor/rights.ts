import type { AccessRequest, Cluster } from '../../cluster/cluster.ts';
import { AppError } from '../../core/errors.ts';

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
