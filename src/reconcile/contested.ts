import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';

const REPAIRS = { most: 5, withinMs: 10 * 60_000 };

/** Whoever replaces a whole Secret takes our labels along, and a mapping that may adopt it takes it back. */
const REPAIRING = ['repair', 'adopt'] as const;

/**
 * Whether somebody else undoes what we repair: more than five repairs of one target in ten minutes, by the records
 * and so over restarts and replicas.
 */
export async function isContested(
  audit: Pick<AuditStore, 'list'>,
  { namespace, secret }: TargetId,
  clock: Clock,
  instances: readonly string[],
): Promise<boolean> {
  const since = new Date(clock.now() - REPAIRS.withinMs).toISOString();
  const filters = instances.flatMap((instance) =>
    REPAIRING.map((action) => ({ namespace, secret, action, outcome: 'ok', since, instance }) as const),
  );
  // Each has two records; failed ones may stand between them.
  const page = { limit: 4 * REPAIRS.most };
  const found = await Promise.all(filters.map((filter) => audit.list(filter, page)));
  const repairs = found.flat();
  return repairs.filter(({ phase }) => phase === 'outcome').length > REPAIRS.most;
}
