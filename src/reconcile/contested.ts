import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import type { TargetId } from '../core/target.ts';

const REPAIRS = { most: 5, withinMs: 10 * 60_000 };

/**
 * If a client replaces the whole Secret, our labels are lost. If the mapping may adopt the Secret, the repair is
 * recorded as an adoption.
 */
const REPAIR_ACTIONS = ['repair', 'adopt'] as const;

/**
 * Whether another client keeps undoing our repairs: more than five repairs of one target in ten minutes. Counts audit
 * records, so restarts and other replicas are included.
 */
export async function isContested(
  audit: Pick<AuditStore, 'list'>,
  { namespace, secret }: TargetId,
  clock: Clock,
  instances: readonly string[],
): Promise<boolean> {
  const since = new Date(clock.now() - REPAIRS.withinMs).toISOString();
  const filters = instances.flatMap((instance) =>
    REPAIR_ACTIONS.map((action) => ({ namespace, secret, action, outcome: 'ok', since, instance }) as const),
  );
  // The limit allows for two records of each repair, and for failed repairs among them.
  const page = { limit: 4 * REPAIRS.most };
  const results = await Promise.all(filters.map((filter) => audit.list(filter, page)));
  const repairs = results.flat();
  return repairs.filter(({ phase }) => phase === 'outcome').length > REPAIRS.most;
}
