import { randomUUID } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import type { TargetId } from '../core/target.ts';
import type { Wanted } from '../reconcile/targets.ts';
import type { Board } from './board.ts';
import { nameOf } from './generation.ts';
import type { Ledger } from './ledger.ts';

export interface UnendedDeps {
  readonly board: Pick<Board, 'known'>;
  readonly ledger: Pick<Ledger, 'trigger'>;
  /** Whether the last word on record about a target is that something was wrong. */
  readonly isUnended: (mapping: string, target: TargetId) => Promise<boolean>;
}

/**
 * Failures on record whose end nobody has seen: they ended while no process was there. A target that looks in step when
 * a process begins is not looked at, so that its failure would stand for ever, and the next of its kind would be no news.
 */
export interface Unended {
  /** It looks in step, and no run has looked at it yet. */
  ask(it: Wanted): void;
  /** Has those looked at whose failure stands, some at a time: there may be thousands to ask about. */
  look(): Promise<void>;
}

const AT_ONCE = 50;
/** Looks that pass by after one that the audit did not answer: it would be asked several times a second. */
const PASSED_BY = 40;

export function createUnended({ board, ledger, isUnended }: UnendedDeps): Unended {
  /** Once in a process: from then on its runs record how they end. */
  const asked = new Set<string>();
  const waiting: Wanted[] = [];
  /** One for all of them, so that what many of them are made of is read once. */
  const requestId = randomUUID();
  let passedBy = PASSED_BY;

  const lookAtNext = async (): Promise<boolean> => {
    const it = waiting.shift();
    if (it === undefined) return false;
    const { mapping, id } = it;
    if (board.known(mapping.name, id) !== undefined) return true;
    try {
      // Nothing of it is to be written: after an outage it may be all of them, and what has changed goes first.
      if (await isUnended(mapping.name, id)) ledger.trigger(id, 'sweep', requestId);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof AppError)) throw thrown;
      // The audit is away, which others say.
      waiting.push(it);
      passedBy = 0;
      return false;
    }
  };

  return {
    ask(it) {
      const name = nameOf(it.mapping.name, it.id);
      if (asked.has(name)) return;
      asked.add(name);
      waiting.push(it);
    },
    async look() {
      passedBy += 1;
      if (passedBy <= PASSED_BY) return;
      for (let left = AT_ONCE; left > 0; left -= 1) if (!(await lookAtNext())) break;
    },
  };
}
