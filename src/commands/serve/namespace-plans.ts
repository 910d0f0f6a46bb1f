import { LRUCache } from 'lru-cache';
import type { App } from '../../app/app.ts';
import { commandOf } from '../../audit/entry.ts';
import { AppError } from '../../core/errors.ts';
import { createSemaphore } from '../../core/semaphore.ts';
import { CHANGING_ACTIONS } from '../../core/words.ts';
import type { PlanAnswer, Requester } from '../../service/service.ts';
import { type PlannedTarget, previewTargets } from '../planned-targets.ts';
import { commandContext } from './approvals.ts';

/** A plan reads every source of its targets, so a plan of more targets is left to `secretbridge plan`. */
const MAX_TARGETS = 500;
/** Requests within this time get the same plan. */
const REUSE_MS = 15_000;
const MAX_NAMESPACES = 1_000;
const CONCURRENCY = 4;
const TIMEOUT_MS = 25_000;

interface Known {
  readonly at: number;
  readonly answer: Promise<PlanAnswer>;
}

/**
 * Makes plans of single namespaces for people who ask the service. One plan at a time is made, so these requests take
 * few of the calls that the limits of the stores allow.
 */
export class NamespacePlans {
  readonly #app: App;
  readonly #semaphore = createSemaphore(1);
  readonly #known = new LRUCache<string, Known>({ max: MAX_NAMESPACES });

  constructor(app: App) {
    this.#app = app;
  }

  /** @throws AppError LIMIT_REACHED if the namespace has too many targets. */
  plan(namespace: string, by: Requester, requestId: string): Promise<PlanAnswer> {
    const now = this.#app.clock.now();
    const known = this.#known.get(namespace);
    if (known !== undefined && Math.abs(now - known.at) < REUSE_MS) return known.answer;
    const answer = this.#semaphore.run(() => this.#make(namespace, by, requestId));
    this.#known.set(namespace, { at: now, answer });
    // A failed plan is made again. The caller gets the error.
    void answer.then(undefined, () => this.#known.delete(namespace));
    return answer;
  }

  async #make(namespace: string, by: Requester, requestId: string): Promise<PlanAnswer> {
    const wanted = this.#app.targets.filter(({ id }) => id.namespace === namespace);
    if (wanted.length > MAX_TARGETS)
      throw new AppError('LIMIT_REACHED', {
        subject: `namespace ${namespace}`,
        detail: `the service plans at most ${MAX_TARGETS} targets`,
        remedy: 'Run `secretbridge plan` with the configuration.',
      });
    // A namespace without targets costs nothing, and leaves no record.
    if (wanted.length === 0) return { changes: 0, targets: [] };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const context = await this.#app.createContext({ ...commandContext(by, requestId), signal });
    await context.recorder.command(commandOf('plan', undefined, '--namespace', namespace));
    const planned = await previewTargets(wanted, context, { concurrency: CONCURRENCY, signal });
    const changes = planned.filter(({ action }) => CHANGING_ACTIONS.includes(action)).length;
    return { changes, targets: planned.map(answerOf) };
  }
}

function answerOf({ mapping, target, action, how, error, keys, pinned }: PlannedTarget) {
  return {
    ...{ mapping, ...target, action },
    ...(how === undefined ? {} : { how }),
    ...error?.toJSON(),
    keys,
    ...(pinned === undefined ? {} : { pinned }),
  };
}
