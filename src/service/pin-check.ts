import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { pinnedTo } from '../reconcile/pins.ts';
import { parsePin } from '../sync/ownership-metadata.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import type { Outbox } from './outbox.ts';
import type { TargetStates } from './target-states.ts';

export interface PinCheckDeps {
  readonly audit: Pick<AuditStore, 'head' | 'list'>;
  readonly snapshot: () => ConfigSnapshot;
  readonly states: Pick<TargetStates, 'get' | 'meta'>;
  readonly outbox: Pick<Outbox, 'trigger'>;
  readonly clock: Clock;
}

/** Queues targets whose pin differs from the last `rollback` or `unpin` on record. */
export type CheckPins = (requestId: string) => Promise<void>;

const EVERY_MS = 10_000;
const PAGE = 200;

/**
 * Creates a check for pins that are recorded and not applied. Normally the process that pins or unpins a target also
 * writes it. If that process ends before the write, or is a command outside of this service, only the audit contains
 * the new pin.
 */
export function createPinCheck({ audit, snapshot, states, outbox, clock }: PinCheckDeps): CheckPins {
  let lastSequence = 0;
  let checkedAt = Number.NEGATIVE_INFINITY;

  const since = async (action: 'rollback' | 'unpin'): Promise<readonly AuditRecord[]> => {
    const records: AuditRecord[] = [];
    for (let after = lastSequence; ; ) {
      const page = await audit.list({ action, outcome: 'ok' }, { limit: PAGE, after });
      records.push(...page);
      after = page.at(-1)?.sequence ?? after;
      if (page.length < PAGE) return records;
    }
  };

  return async (requestId) => {
    if (Math.abs(clock.now() - checkedAt) < EVERY_MS) return;
    checkedAt = clock.now();
    // Read the head before the records. The next check then starts at the records that this check may have missed.
    const head = await audit.head();
    const records = [...(await since('rollback')), ...(await since('unpin'))];
    const last = new Map<string, AuditRecord>();
    for (const record of records.toSorted((a, b) => a.sequence - b.sequence)) {
      const { instance, mapping, namespace, secret } = record;
      last.set(JSON.stringify([instance, mapping, namespace, secret]), record);
    }
    lastSequence = head.sequence;
    for (const record of last.values()) {
      const { mapping = '', namespace = '', secret = '' } = record;
      const desired = desiredIn(snapshot(), { mapping, target: { namespace, secret } });
      if (desired === undefined) continue;
      const meta = states.meta(desired.id);
      // The annotation shows the pin only if the mapping owns the whole Secret.
      const isOwn = desired.mapping.target.mode === 'own';
      const state = states.get(desired.mapping.name, desired.id);
      const shown = isOwn && meta !== undefined ? parsePin(meta.annotations) : state?.pinned;
      if (shown !== pinnedTo(record)) outbox.trigger(desired.id, 'event', requestId);
    }
  };
}
