import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { pinnedTo } from '../reconcile/pins.ts';
import { pinIn } from '../sync/marks.ts';
import type { Board } from './board.ts';
import { type Generation, wantedIn } from './generation.ts';
import type { Ledger } from './ledger.ts';

export interface PinsDeps {
  readonly audit: Pick<AuditStore, 'list'>;
  readonly generation: () => Generation;
  readonly board: Pick<Board, 'known' | 'meta'>;
  readonly ledger: Pick<Ledger, 'trigger'>;
  readonly clock: Clock;
}

/** Has those targets looked at of which somebody said `rollback` or `unpin` and that do not show it. */
export type LookForPins = (requestId: string) => Promise<void>;

const EVERY_MS = 10_000;
const PAGE = 200;

/**
 * Whoever pins a target, or lets it go, also writes it. When that process ends in between, or does so on the same
 * audit without this service, only the records tell.
 */
export function createPins({ audit, generation, board, ledger, clock }: PinsDeps): LookForPins {
  let seen = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;

  const since = async (action: 'rollback' | 'unpin'): Promise<readonly AuditRecord[]> => {
    const records: AuditRecord[] = [];
    for (let after = seen; ; ) {
      const page = await audit.list({ action, outcome: 'ok' }, { limit: PAGE, after });
      records.push(...page);
      after = page.at(-1)?.sequence ?? after;
      if (page.length < PAGE) return records;
    }
  };

  return async (requestId) => {
    if (Math.abs(clock.now() - lookedAt) < EVERY_MS) return;
    lookedAt = clock.now();
    const records = [...(await since('rollback')), ...(await since('unpin'))];
    const last = new Map<string, AuditRecord>();
    for (const record of records.toSorted((a, b) => a.sequence - b.sequence)) {
      const { instance, mapping, namespace, secret, sequence } = record;
      last.set(JSON.stringify([instance, mapping, namespace, secret]), record);
      seen = Math.max(seen, sequence);
    }
    for (const record of last.values()) {
      const { mapping = '', namespace = '', secret = '' } = record;
      const wanted = wantedIn(generation(), { mapping, target: { namespace, secret } });
      if (wanted === undefined) continue;
      const meta = board.meta(wanted.id);
      // Of a Secret of others the annotations of its owner say nothing.
      const isOwn = wanted.mapping.target.mode === 'own';
      const known = board.known(wanted.mapping.name, wanted.id);
      const shown = isOwn && meta !== undefined ? pinIn(meta.annotations) : known?.pinned;
      if (shown !== pinnedTo(record)) ledger.trigger(wanted.id, 'event', requestId);
    }
  };
}
