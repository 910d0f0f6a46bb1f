import type { TargetId } from '../core/target.ts';
import type { Action, AuditRecord, EntrySource } from './entry.ts';

/** Actions that change a target. Their records have a phase. */
export const WRITE_ACTIONS = [
  'create',
  'update',
  'delete',
  'repair',
  'adopt',
] as const satisfies readonly Action[];

export function isWrite({ action }: Pick<AuditRecord, 'action'>): boolean {
  return (WRITE_ACTIONS as readonly Action[]).includes(action);
}

/** Actions that a person should look at although they succeeded. */
export const NOTABLE_ACTIONS = ['delete', 'adopt', 'rollback'] as const satisfies readonly Action[];

/** Whether a person should look at a record: something failed, was refused or is held, or was destroyed or taken over. */
export function needsAttention({ action, outcome }: Pick<AuditRecord, 'action' | 'outcome'>): boolean {
  return outcome !== 'ok' || (NOTABLE_ACTIONS as readonly Action[]).includes(action);
}

/** Which records to find on one side of a sequence number. The nearest one comes first. */
export interface NeighborQuery {
  readonly side: 'before' | 'after';
  readonly sequence: number;
  readonly actions: readonly Action[];
  readonly limit: number;
}

/** A record that names a version of a source. */
export interface SourceUse {
  readonly sequence: number;
  readonly action: Action;
}

/** Finds records that belong together. Each search reads a part of one index, so thousands of searches are cheap. */
export interface RecordIndex {
  /** Returns which of these intents have no outcome yet. */
  openIntents(sequences: readonly number[]): Promise<ReadonlySet<number>>;
  /** Returns the records of a target before or after a sequence number. */
  targetNeighbors(target: TargetId, query: NeighborQuery): Promise<readonly AuditRecord[]>;
  /** Returns the nearest record that names this version of a source. */
  nearestUse(
    source: Pick<EntrySource, 'store' | 'key' | 'version'>,
    query: Omit<NeighborQuery, 'limit'>,
  ): Promise<SourceUse | undefined>;
  /** Returns the last configurations that came into force before a sequence number, newest first. */
  configurations(before: number, limit: number): Promise<readonly AuditRecord[]>;
}
