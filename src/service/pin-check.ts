import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { append } from '../core/lists.ts';
import type { TargetId } from '../core/target.ts';
import { pinnedTo } from '../reconcile/pins.ts';
import { type ConfigSnapshot, desiredIn } from './config-snapshot.ts';
import type { TargetStates } from './target-states.ts';

export interface PinCheckDeps {
  readonly audit: Pick<AuditStore, 'head' | 'list'>;
  readonly snapshot: () => ConfigSnapshot;
  readonly states: Pick<TargetStates, 'inputs' | 'steadyClock'>;
  readonly clock: Clock;
}

const EVERY_MS = 10_000;
const PAGE = 200;

/**
 * Finds pins that are recorded and not applied. Normally the process that pins or unpins a target also writes it. If
 * that process ends before the write, or is a command outside of this service, only the audit contains the new pin.
 */
export class PinCheck {
  readonly #deps: PinCheckDeps;
  #lastSequence = 0;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: PinCheckDeps) {
    this.#deps = deps;
  }

  /** Notes the last pin of each target that was pinned or unpinned since the last call. Returns these targets. */
  async find(): Promise<readonly TargetId[]> {
    const { audit, clock, snapshot, states } = this.#deps;
    if (Math.abs(clock.now() - this.#checkedAt) < EVERY_MS) return [];
    this.#checkedAt = clock.now();
    // Read the head before the records. Records that are added meanwhile come after this head, so the next check finds
    // them.
    const head = await audit.head();
    const records = [...(await this.#since('rollback')), ...(await this.#since('unpin'))];
    this.#lastSequence = head.sequence;
    const targets: TargetId[] = [];
    for (const record of records.toSorted((a, b) => a.sequence - b.sequence)) {
      const { mapping = '', namespace = '', secret = '' } = record;
      const target = { namespace, secret };
      if (desiredIn(snapshot(), { mapping, target }) === undefined) continue;
      states.inputs(target).pin = { mapping, to: pinnedTo(record), at: states.steadyClock.now() };
      targets.push(target);
    }
    return targets;
  }

  async #since(action: 'rollback' | 'unpin'): Promise<readonly AuditRecord[]> {
    const records: AuditRecord[] = [];
    for (let after = this.#lastSequence; ; ) {
      const page = await this.#deps.audit.list({ action, outcome: 'ok' }, { limit: PAGE, after });
      append(records, page);
      after = page.at(-1)?.sequence ?? after;
      if (page.length < PAGE) return records;
    }
  }
}
