import type { TargetId } from '../core/target.ts';
import type { KeyPlan } from '../sync/drift.ts';
import { shortHash } from '../sync/ownership-metadata.ts';

/**
 * A change that waits for a person. Its id depends only on the change, so it stays the same until the change differs.
 */
export interface Held extends TargetId {
  readonly id: string;
  readonly mapping: string;
  readonly action: 'delete';
  readonly keys: readonly KeyPlan[];
}

export function isHeldId(text: string): boolean {
  return /^[0-9a-f]{12}$/.test(text);
}

export function toHeld(
  instance: string,
  { mapping, target, keys }: { mapping: string; target: TargetId; keys: readonly KeyPlan[] },
): Held {
  const change = { action: 'delete', keys } as const;
  return {
    id: shortHash({ instance, mapping, ...target, ...change }).slice(0, 12),
    mapping,
    ...target,
    ...change,
  };
}
