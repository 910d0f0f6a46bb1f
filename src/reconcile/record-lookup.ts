import type { LastPins } from '../audit/decisions.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import type { TargetId } from '../core/target.ts';
import { isProvenAbsent } from './absence.ts';
import { type AbsenceRule, confirmationRule } from './failed-reads.ts';
import { isRemoved, isWrittenWithout } from './latest-records.ts';
import { isRollbackPending, type RecordedPin, readPin } from './pins.ts';

/** Reads the audit records on which a decision depends. */
export interface RecordLookup {
  /** Whether the recorded reads prove that the source no longer exists. */
  isProvenAbsent(source: Source, mapping: Mapping): Promise<boolean>;
  /**
   * Returns the time after which another read can confirm that the source does not exist, in milliseconds. Undefined if
   * the reads so far are enough to write a new target without the source.
   */
  awaitedConfirmation(source: Source, mapping: Mapping): Promise<number | undefined>;
  readPin(mapping: string, id: TargetId): Promise<RecordedPin | undefined>;
  /** Whether the next write of a target carries out a rollback. */
  isRollbackPending(mapping: string, id: TargetId): Promise<boolean>;
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
  /** Returns how an absence in this store is proved. */
  readonly absence: (store: string) => AbsenceRule;
}

export function createRecordLookup(
  audit: AuditStore,
  { instances, pins, stores, absence }: LookupOptions,
): RecordLookup {
  const isProven = (
    source: Source,
    { softDeletedIsMissing }: Mapping,
    { readings, overMs }: Pick<AbsenceRule, 'readings' | 'overMs'>,
  ) => {
    const codes = ['SOURCE_ABSENT', ...(softDeletedIsMissing ? ['SOURCE_DELETED'] : [])];
    return isProvenAbsent(audit, source, stores.get(source.store), { codes, readings, overMs });
  };
  return {
    readPin: (mapping, id) => readPin({ audit, pins, instances }, mapping, id),
    isRollbackPending: (mapping, id) => isRollbackPending({ audit, pins, instances }, mapping, id),
    isRemoved: (mapping, id) => isRemoved(audit, mapping, id, instances),
    isWrittenWithout: (mapping, id, source) => isWrittenWithout(audit, mapping, id, source, instances),
    isProvenAbsent: (source, mapping) => isProven(source, mapping, absence(source.store)),
    async awaitedConfirmation(source, mapping) {
      const rule = absence(source.store);
      const { deletionLagMs } = rule;
      if (deletionLagMs === 0 || (await isProven(source, mapping, confirmationRule(rule)))) return undefined;
      return deletionLagMs;
    },
  };
}
