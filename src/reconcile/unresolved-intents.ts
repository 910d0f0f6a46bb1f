import type { AuditRecord } from '../audit/entry.ts';
import type { TargetId } from '../core/target.ts';

/** The fields that tie an outcome to its intent. */
export interface ChangeId {
  readonly requestId: string;
  readonly target: TargetId;
  readonly attempt: number;
}

/**
 * Changes of this process that ended without a recorded outcome. Either the audit did not accept the outcome, or the
 * cluster could not be asked for the result. Other processes cannot tell such an intent from one whose write is still
 * running.
 */
export interface UnresolvedIntents {
  add(change: ChangeId): void;
  has(intent: AuditRecord): boolean;
  /** Reads the open intents and forgets those that are closed by now. */
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
