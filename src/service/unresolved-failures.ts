import { randomUUID } from 'node:crypto';
import { AppError } from '../core/errors.ts';
import { append } from '../core/lists.ts';
import type { TargetId } from '../core/target.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { Resync } from './resync.ts';
import type { TargetStates } from './target-states.ts';

export interface UnresolvedFailuresDeps {
  readonly states: Pick<TargetStates, 'get' | 'inputs' | 'steadyClock'>;
  /** Whether the latest record of a target is a failure. */
  readonly isUnresolved: (mapping: string, target: TargetId) => Promise<boolean>;
}

const BATCH_SIZE = 50;
/** Number of calls to skip after an audit error, because `checkNext` is called several times a second. */
const SKIPPED_AFTER_ERROR = 40;

/**
 * Finds failures on record whose cause was fixed while no process was running. If a target is in sync at startup, it
 * gets no run. Without a check, its recorded failure would stay unresolved and hide the next failure.
 */
export class UnresolvedFailures {
  readonly #deps: UnresolvedFailuresDeps;
  /**
   * The targets that were added before. Each target is checked only once: after the check, the runs of the target
   * record the end of a failure.
   */
  readonly #seen = new WeakSet<DesiredTarget>();
  readonly #waiting: DesiredTarget[] = [];
  /** All targets use the same request id, so that the sources that they share are read once. */
  readonly #requestId = randomUUID();
  #skipped = SKIPPED_AFTER_ERROR;

  constructor(deps: UnresolvedFailuresDeps) {
    this.#deps = deps;
  }

  /** Adds a target that is in sync and has had no run in this process. */
  add(desired: DesiredTarget): void {
    if (this.#seen.has(desired)) return;
    this.#seen.add(desired);
    this.#waiting.push(desired);
  }

  /**
   * Reads the records of one batch of targets, because there may be thousands of targets. Then checks the targets whose
   * last record is a failure.
   */
  async checkNext(resync: Pick<Resync, 'check'>): Promise<void> {
    this.#skipped += 1;
    if (this.#skipped <= SKIPPED_AFTER_ERROR) return;
    const batch = this.#waiting.splice(0, BATCH_SIZE);
    const failed: TargetId[] = [];
    for (const [index, desired] of batch.entries()) {
      try {
        if (await this.#isUnresolved(desired)) failed.push(desired.id);
      } catch (thrown) {
        if (!(thrown instanceof AppError)) throw thrown;
        // The audit is unavailable. Other parts report this, so only retry here.
        append(this.#waiting, batch.slice(index));
        this.#skipped = 0;
        break;
      }
    }
    const { states } = this.#deps;
    for (const id of failed) states.inputs(id).unresolvedAt = states.steadyClock.now();
    if (failed.length > 0) resync.check(failed, this.#requestId);
  }

  async #isUnresolved({ mapping, id }: DesiredTarget): Promise<boolean> {
    const { states, isUnresolved } = this.#deps;
    return states.get(mapping.name, id) === undefined && (await isUnresolved(mapping.name, id));
  }
}
