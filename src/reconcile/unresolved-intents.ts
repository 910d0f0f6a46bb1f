import type { AuditRecord } from '../audit/entry.ts';
import type { TargetId } from '../core/target.ts';

/** The fields that connect an outcome to its intent. */
export interface ChangeId {
  readonly requestId: string;
  readonly target: TargetId;
  readonly attempt: number;
}

/**
 * Changes of this process without a recorded outcome. Either the append of the outcome failed, or the cluster did not
 * report the result. Other processes cannot know whether such a write is still running, so this process resolves the
 * intents itself.
 */
export interface UnresolvedIntents {
  add(change: ChangeId): void;
  has(intent: AuditRecord): boolean;
  /** Reads the unresolved intents and forgets those that have been resolved. */
  refresh(find: () => Promise<readonly AuditRecord[]>): Promise<readonly AuditRecord[]>;
}

export function createUnresolvedIntents(): UnresolvedIntents {
  const ids = new Set<string>();
  return {
    add: (change) => void ids.add(formatChangeId(change)),
    has: (intent) => ids.has(formatChangeId(changeIdOf(intent))),
    async refresh(find) {
      const previous = [...ids];
      const intents = await find();
      const stillOpen = new Set(intents.map((intent) => formatChangeId(changeIdOf(intent))));
      for (const id of previous) if (!stillOpen.has(id)) ids.delete(id);
      return intents;
    },
  };
}

function changeIdOf({ requestId, namespace = '', secret = '', attempt }: AuditRecord): ChangeId {
  return { requestId, target: { namespace, secret }, attempt };
}

function formatChangeId({ requestId, target: { namespace, secret }, attempt }: ChangeId): string {
  return JSON.stringify([requestId, namespace, secret, attempt]);
}
