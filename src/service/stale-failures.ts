import { randomUUID } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { targetKey } from './config-snapshot.ts';
import type { Outbox } from './outbox.ts';
import type { TargetStates } from './target-states.ts';

export interface StaleFailuresDeps {
  readonly states: Pick<TargetStates, 'get'>;
  readonly outbox: Pick<Outbox, 'trigger'>;
  /** Whether the latest record of a target is a failure. */
  readonly hasOpenFailure: (mapping: string, target: TargetId) => Promise<boolean>;
}

/**
 * Finds failures on record whose cause was fixed while no process was running. A target that is in sync at startup gets
 * no run. Without a check, its recorded failure would stay unresolved and hide the next one.
 */
export interface StaleFailures {
  /** Adds a target that is in sync and has had no run in this process. */
  enqueue(desired: DesiredTarget): void;
  /**
   * Checks one batch of targets, because there may be thousands. Queues each target whose recorded failure is not
   * resolved.
   */
  checkNext(): Promise<void>;
}

const BATCH_SIZE = 50;
/** Number of calls to skip after an audit error, because `checkNext` is called several times a second. */
const SKIPPED_AFTER_ERROR = 40;

export function createStaleFailures({ states, outbox, hasOpenFailure }: StaleFailuresDeps): StaleFailures {
  /**
   * The targets that were added before. Each target is checked only once, because its runs record when a failure has
   * ended.
   */
  const seen = new Set<string>();
  const waiting: DesiredTarget[] = [];
  /** All targets use the same id, so that sources that they share are read once. */
  const requestId = randomUUID();
  let skipped = SKIPPED_AFTER_ERROR;

  const checkOne = async (): Promise<boolean> => {
    const desired = waiting.shift();
    if (desired === undefined) return false;
    const { mapping, id } = desired;
    if (states.get(mapping.name, id) !== undefined) return true;
    try {
      // Use the least urgent reason: these runs write nothing, and after an outage there may be one for every target.
      if (await hasOpenFailure(mapping.name, id)) outbox.trigger(id, 'sweep', requestId);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      // The audit is unavailable. Other parts report this, so only retry here.
      waiting.push(desired);
      skipped = 0;
      return false;
    }
  };

  return {
    enqueue(desired) {
      const name = targetKey(desired.mapping.name, desired.id);
      if (seen.has(name)) return;
      seen.add(name);
      waiting.push(desired);
    },
    async checkNext() {
      skipped += 1;
      if (skipped <= SKIPPED_AFTER_ERROR) return;
      for (let remaining = BATCH_SIZE; remaining > 0; remaining -= 1) if (!(await checkOne())) break;
    },
  };
}
