import type { LastPins } from '../audit/decisions.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import { isProvenAbsent } from './absence.ts';
import { isRemoved, isWrittenWithout } from './latest-records.ts';
import { type RecordedPin, readPin } from './pins.ts';

/** Reads the audit records on which a decision depends. */
export interface RecordLookup {
  /** Whether the recorded reads prove that the source no longer exists. */
  isProvenAbsent(source: Source, mapping: Mapping): Promise<boolean>;
  readPin(mapping: string, id: TargetId): Promise<RecordedPin | undefined>;
  /** Whether the last recorded write of a target was a deletion without recreation. */
  isRemoved(mapping: string, id: TargetId): Promise<boolean>;
  /** Whether the last recorded write of a target lacked a source that an earlier write used. */
  isWrittenWithout(mapping: string, id: TargetId, source: Source): Promise<boolean>;
}

interface LookupOptions {
  /** The current instance name and the former ones. */
  readonly instances: readonly string[];
  readonly pins: LastPins;
  /** Maps each store name to the hash of the store's definition. */
  readonly stores: ReadonlyMap<string, string>;
  /** Returns how many reads prove an absence, and over which time. */
  readonly absence: () => { readonly readings: number; readonly overMs: number };
}

export function createRecordLookup(
  audit: AuditStore,
  { instances, pins, stores, absence }: LookupOptions,
): RecordLookup {
  return {
    readPin: (mapping, id) => readPin({ audit, pins, instances }, mapping, id),
    isRemoved: (mapping, id) => isRemoved(audit, mapping, id, instances),
    isWrittenWithout: (mapping, id, source) => isWrittenWithout(audit, mapping, id, source, instances),
    isProvenAbsent(source, { softDeletedIsMissing }) {
      const codes = ['SOURCE_ABSENT', ...(softDeletedIsMissing ? ['SOURCE_DELETED'] : [])];
      return isProvenAbsent(audit, source, stores.get(source.store), { codes, ...absence() });
    },
  };
}
