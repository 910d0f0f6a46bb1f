import { randomUUID } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { TargetStates } from './target-states.ts';
import { targetKey } from './config-snapshot.ts';
import type { Outbox } from './outbox.ts';

export interface StaleFailuresDeps {
  readonly states: Pick<TargetStates, 'get'>;
  readonly outbox: Pick<Outbox, 'trigger'>;
  /** Whether the last word on record about a target is that something was wrong. */
  readonly hasOpenFailure: (mapping: string, target: TargetId) => Promise<boolean>;
}

/**
 * Failures on record whose end nobody has seen: they ended while no process was there. A target that looks in step when
 * a process begins is not looked at, so that its failure would stand for ever, and the next of its kind would be no
 * news.
 */
export interface StaleFailures {
  /** It looks in step, and no run has looked at it yet. */
  enqueue(desired: DesiredTarget): void;
  /** Has those looked at whose failure stands, some at a time: there may be thousands to ask about. */
  checkNext(): Promise<void>;
}

const BATCH_SIZE = 50;
/** Looks that context by after one that the audit did not answer: it would be asked several times a second. */
const SKIPPED_AFTER_ERROR = 40;

export function createStaleFailures({
  states,
  outbox,
  hasOpenFailure: isUnended,
}: StaleFailuresDeps): StaleFailures {
  /** Once in a process: from then on its runs record how they end. */
  const seen = new Set<string>();
  const waiting: DesiredTarget[] = [];
  /** One for all of them, so that what many of them are made of is read once. */
  const requestId = randomUUID();
  let skipped = SKIPPED_AFTER_ERROR;

  const checkOne = async (): Promise<boolean> => {
    const desired = waiting.shift();
    if (desired === undefined) return false;
    const { mapping, id } = desired;
    if (states.get(mapping.name, id) !== undefined) return true;
    try {
      // Nothing of it is to be written: after an outage it may be all of them, and what has changed goes first.
      if (await isUnended(mapping.name, id)) outbox.trigger(id, 'sweep', requestId);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      // The audit is away, which others say.
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
