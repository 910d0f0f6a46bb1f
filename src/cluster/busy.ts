import { type KubeAnswer, waitOf } from './errors.ts';
import { type PaceDeps, waitReally } from './pace.ts';

export interface BusyDeps extends Pick<PaceDeps, 'wait'> {
  /** From 0 to 1. */
  readonly random?: (() => number) | undefined;
}

const ATTEMPTS = 3;
/** What asks for more is for the queue to wait for. */
const LONGEST_MS = 2_000;
const SPREAD_MS = 1_000;

/**
 * Asks again where the API server had no room for a request. Of a 429 it has carried out nothing, so that a write may
 * be sent again too; and it says for how long its queues are full, mostly a second
 * (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/).
 */
export async function whileBusy(
  ask: () => Promise<KubeAnswer>,
  signal: AbortSignal | undefined,
  { wait = waitReally, random = Math.random }: BusyDeps,
): Promise<KubeAnswer> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask();
    const { retryAfterMs } = waitOf(answer);
    const isBusy = answer.status === 429 && retryAfterMs !== undefined && retryAfterMs <= LONGEST_MS;
    if (!isBusy || attempt === ATTEMPTS) return answer;
    // Those that it sent away together are not to come back together.
    await wait(retryAfterMs + random() * SPREAD_MS, signal);
    signal?.throwIfAborted();
  }
}
