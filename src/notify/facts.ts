import { type Entry, NO_KEYS } from '../audit/entry.ts';
import type { ErrorCode } from '../core/error-codes.ts';
import type { TargetId } from '../core/target.ts';
import { warningId } from './events.ts';
import { isAbout, type TroubleLog } from './trouble-log.ts';

// Some troubles leave no record by themselves. They get one when they begin and when they end, so that all processes
// know of them.

/** What a process knows of the end of a value or certificate in a target. */
export interface TargetExpiry extends TargetId {
  readonly mapping: string;
  /** Whether it expires soon. Undefined: not known yet. */
  readonly isSoon: boolean | undefined;
}

/** What a process knows of the audit log. */
export interface AuditFact {
  readonly code: ErrorCode;
  /** Undefined: not known yet. */
  readonly isPresent: boolean | undefined;
}

/** What a process knows. It must not report that something is over before it knows. */
export interface Facts {
  readonly expiries: readonly TargetExpiry[];
  readonly audit: readonly AuditFact[];
  /** Whether a target is configured. */
  readonly isConfigured: (mapping: string, target: TargetId) => boolean;
}

/** Returns the records to add because of what has begun or ended. */
export function newFacts(log: TroubleLog, { expiries, audit, isConfigured }: Facts): readonly Entry[] {
  const open = log.open();
  const ids = new Set(open.map(({ id }) => id));
  const entries: Entry[] = [];
  const compare = (about: Partial<Entry>, isPresent: boolean | undefined): void => {
    if (isPresent !== undefined && isPresent !== ids.has(warningId(about)))
      entries.push(warning(about, isPresent ? 'failed' : 'ok'));
  };
  for (const { mapping, namespace, secret, isSoon } of expiries)
    compare({ code: 'EXPIRES_SOON', mapping, namespace, secret }, isSoon);
  for (const { code, isPresent } of audit) compare({ code }, isPresent);
  const unconfigured = new Map<string, Partial<Entry>>();
  for (const trouble of open) {
    const { mapping = '', namespace = '', secret = '' } = trouble;
    const target = { mapping, namespace, secret };
    if (isAbout(trouble, target) && !isConfigured(mapping, target))
      unconfigured.set(JSON.stringify(target), target);
  }
  return [
    ...entries,
    ...[...unconfigured.values()].map((target) => warning({ ...target, note: GONE }, 'ok')),
  ];
}

const GONE = 'no longer configured';

function warning(about: Partial<Entry>, outcome: 'ok' | 'failed'): Entry {
  return {
    actor: { kind: 'schedule' },
    requestId: 'notify',
    action: 'warn',
    outcome,
    ...about,
    ...{ sources: [], keys: NO_KEYS, durationMs: 0, attempt: 1 },
  };
}
