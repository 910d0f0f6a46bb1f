import { type AuditRecord, TARGET_STATE_ACTIONS } from '../audit/entry.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { Trouble, TroubleKind } from '../core/troubles.ts';

/** What a record says about troubles. */
export type Event =
  | { readonly kind: 'begin'; readonly id: string; readonly trouble: Trouble }
  | { readonly kind: 'end'; readonly ids: readonly string[] }
  /** The target is no longer configured, so nothing else ends its troubles. */
  | { readonly kind: 'gone'; readonly mapping: string; readonly namespace: string; readonly secret: string };

/** A target has at most one trouble of these kinds at a time. */
const TARGET_KINDS = ['held', 'refused', 'failed', 'contested'] as const;

/** With these codes, a target waits as it should. A request for approval is a trouble of its own. */
const WAITING: readonly string[] = [
  'OUTSIDE_WINDOW',
  'APPROVAL_NEEDED',
  'SECRET_MISSING',
] satisfies ErrorCode[];

const NO_EVENTS: readonly Event[] = [];

/** Returns which troubles a record begins or ends. Each trouble has one id from its beginning to its end. */
export function eventsOf(record: AuditRecord): readonly Event[] {
  const { action, phase } = record;
  if (phase === 'intent') return NO_EVENTS;
  if (action === 'request' || action === 'approve' || action === 'reject') return approvalEvents(record);
  if (action === 'review') return reviewEvents(record);
  if (action === 'restart') return restartEvents(record);
  if (action === 'warn') return warningEvents(record);
  return TARGET_STATE_ACTIONS.includes(action) && record.secret !== undefined
    ? targetEvents(record)
    : NO_EVENTS;
}

function targetEvents(record: AuditRecord): readonly Event[] {
  const kind = targetKind(record);
  const others = TARGET_KINDS.filter((other) => other !== kind).map((other) => targetTrouble(other, record));
  const ended: Event = { kind: 'end', ids: others };
  if (kind === undefined) return [ended];
  return [ended, begin(targetTrouble(kind, record), kind, record)];
}

function targetKind({ outcome, code = '' }: AuditRecord): (typeof TARGET_KINDS)[number] | undefined {
  if (outcome === 'ok' || WAITING.includes(code)) return undefined;
  if (code === ('CONTESTED' satisfies ErrorCode)) return 'contested';
  return outcome;
}

/** Names contain no spaces. */
export function targetTrouble(
  kind: TroubleKind,
  { mapping = '', namespace = '', secret = '' }: Pick<AuditRecord, 'mapping' | 'namespace' | 'secret'>,
): string {
  return `${kind} ${mapping} ${namespace} ${secret}`;
}

function begin(
  id: string,
  kind: TroubleKind,
  { sequence, time, code, mapping, namespace, secret, requested }: AuditRecord,
  record?: number,
): Event {
  const trouble = {
    ...{ kind, sequence, since: Date.parse(time) },
    ...(code === undefined ? {} : { code }),
    ...(mapping === undefined ? {} : { mapping }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(secret === undefined ? {} : { secret }),
    ...(record === undefined ? {} : { record }),
    ...(requested === undefined ? {} : { until: Date.parse(requested.until) }),
  };
  return { kind: 'begin', id, trouble };
}

function approvalEvents(record: AuditRecord): readonly Event[] {
  const { action, sequence, approval, outcome } = record;
  if (action === 'request') return [begin(`approval ${sequence}`, 'approval', record)];
  return outcome === 'ok' && approval !== undefined ? [{ kind: 'end', ids: [`approval ${approval}`] }] : [];
}

function reviewEvents(record: AuditRecord): readonly Event[] {
  const { review } = record;
  if (review === undefined) return [];
  const id = `flagged ${review.sequence}`;
  return review.state === 'flagged'
    ? [begin(id, 'flagged', record, review.sequence)]
    : [{ kind: 'end', ids: [id] }];
}

function restartEvents(record: AuditRecord): readonly Event[] {
  const id = `${targetTrouble('failed', record)} restart ${record.note ?? ''}`;
  return record.outcome === 'failed' ? [begin(id, 'failed', record)] : [{ kind: 'end', ids: [id] }];
}

/** A warning without a code says that a target is no longer configured. */
function warningEvents(record: AuditRecord): readonly Event[] {
  const { code, outcome, mapping = '', namespace = '', secret = '' } = record;
  if (code === undefined) return [{ kind: 'gone', mapping, namespace, secret }];
  const id = warningId(record);
  return outcome === 'ok' ? [{ kind: 'end', ids: [id] }] : [begin(id, warningKind(code), record)];
}

/** The id of the trouble that a warning begins or ends. */
export function warningId({
  code = '',
  ...about
}: Pick<AuditRecord, 'code' | 'mapping' | 'namespace' | 'secret'>): string {
  const kind = warningKind(code);
  return kind === 'audit' ? `audit ${code}` : targetTrouble(kind, about);
}

function warningKind(code: string): 'expiring' | 'audit' {
  return code === ('EXPIRES_SOON' satisfies ErrorCode) ? 'expiring' : 'audit';
}
