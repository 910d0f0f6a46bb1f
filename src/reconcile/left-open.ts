import type { AuditRecord } from '../audit/entry.ts';
import type { TargetId } from '../core/target.ts';

/** By what an outcome belongs to its intent. */
export interface ChangeName {
  readonly requestId: string;
  readonly target: TargetId;
  readonly attempt: number;
}

/**
 * Changes of this process that are over and have no outcome on record, since the audit did not take it or the
 * cluster could not be asked what became of them. An open intent of a process that runs may be one in the middle of its
 * write, so nobody else can tell.
 */
export interface LeftOpen {
  add(change: ChangeName): void;
  has(intent: AuditRecord): boolean;
  /** Looks for open intents, and forgets what is none any more. */
  look(find: () => Promise<readonly AuditRecord[]>): Promise<readonly AuditRecord[]>;
}

export function createLeftOpen(): LeftOpen {
  const names = new Set<string>();
  return {
    add: (change) => void names.add(textOf(change)),
    has: (intent) => names.has(textOf(nameOf(intent))),
    async look(find) {
      const asked = [...names];
      const found = await find();
      const open = new Set(found.map((intent) => textOf(nameOf(intent))));
      for (const name of asked) if (!open.has(name)) names.delete(name);
      return found;
    },
  };
}

function nameOf({ requestId, namespace = '', secret = '', attempt }: AuditRecord): ChangeName {
  return { requestId, target: { namespace, secret }, attempt };
}

function textOf({ requestId, target: { namespace, secret }, attempt }: ChangeName): string {
  return JSON.stringify([requestId, namespace, secret, attempt]);
}
