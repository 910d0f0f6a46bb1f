import type { AuditRecord, KeyChanges } from '../audit/entry.ts';
import type { ObjectEvent } from '../cluster/team-ports.ts';
import { ERRORS, isErrorCode } from '../core/error-codes.ts';

/** What an event says, without its object. */
export type EventText = Pick<ObjectEvent, 'type' | 'reason' | 'message'>;

/** More names would make the message hard to read. */
const MAX_KEYS = 5;

const DONE = {
  create: 'Created',
  update: 'Updated',
  adopt: 'Adopted',
  repair: 'Repaired',
  delete: 'Deleted',
  release: 'Released',
  restart: 'Restarted',
  rollback: 'RolledBack',
  unpin: 'Unpinned',
  sweep: 'Recovered',
} as const;

const TEXTS: Readonly<Record<(typeof DONE)[keyof typeof DONE], string>> = {
  Created: 'the Secret was created',
  Updated: 'the Secret was updated',
  Adopted: 'the Secret was taken over',
  Repaired: 'a change by hand was undone',
  Deleted: 'the Secret was deleted',
  Released: 'a held change was released',
  Restarted: 'a workload was restarted',
  RolledBack: 'the Secret was rolled back',
  Unpinned: 'the Secret follows its sources again',
  Recovered: 'the Secret is in sync again',
};

/**
 * Returns what a record of a target means for people who look at the objects in the cluster. It contains names and texts
 * of ours, like the record. Undefined for records that say nothing new about a target.
 *
 * @param exists Whether the Secret exists. A Secret that fails keeps its old content.
 */
export function eventOf(record: AuditRecord, exists: boolean): EventText | undefined {
  const { action, phase, outcome, code, note, keys } = record;
  if (phase === 'intent') return undefined;
  const what = note === undefined ? '' : ` (${note})`;
  if (outcome === 'ok') {
    if (!Object.hasOwn(DONE, action)) return undefined;
    const reason = DONE[action as keyof typeof DONE];
    const noted = reason === 'Restarted' ? what : '';
    return { type: 'Normal', reason, message: `${TEXTS[reason]}${noted}${keysText(keys)}` };
  }
  const isOfTarget = ['refuse', 'hold', 'restart', 'giveUp'].includes(action) || phase === 'outcome';
  if (!isOfTarget || !isErrorCode(code)) return undefined;
  const { message, remedy } = ERRORS[code];
  return {
    type: 'Warning',
    reason: reasonOf(record, exists),
    message: `${code}: ${message}${what}. ${remedy}`,
  };
}

function reasonOf({ action, outcome }: AuditRecord, exists: boolean): string {
  if (outcome === 'held') return 'Held';
  if (outcome === 'refused') return 'Refused';
  if (action === 'restart') return 'RestartFailed';
  return exists ? 'Stale' : 'Failed';
}

function keysText({ added, changed, removed }: KeyChanges): string {
  const parts = [
    ['added', added],
    ['changed', changed],
    ['removed', removed],
  ] as const;
  const texts = parts
    .filter(([, names]) => names.length > 0)
    .map(([how, names]) => `${how}: ${shown(names)}`);
  return texts.length === 0 ? '' : `; ${texts.join('; ')}`;
}

function shown(names: readonly string[]): string {
  const more = names.length > MAX_KEYS ? ` and ${names.length - MAX_KEYS} more` : '';
  return names.slice(0, MAX_KEYS).join(', ') + more;
}
