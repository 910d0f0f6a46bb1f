import type { RequestRateDeps } from '../core/rate-limiter.ts';
import { sleepMs } from '../core/timer.ts';
import { type KubeResponse, retryAfterOf } from './errors.ts';

export interface RetryDeps extends Pick<RequestRateDeps, 'wait'> {
  /** Returns a number from 0 to 1, for the jitter. */
  readonly random?: (() => number) | undefined;
}

const MAX_ATTEMPTS = 3;
/**
 * The longest wait before a retry in this function. If the server asks for a longer wait, the request fails, and the
 * queue retries later.
 */
const MAX_WAIT_MS = 2_000;
const JITTER_MS = 1_000;

/**
 * Sends a request again after a 429 of the API server. The server did not carry out the request, so even a write is
 * safe to repeat. The response contains the delay, usually one second
 * (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/).
 */
export async function retryWhileBusy(
  send: () => Promise<KubeResponse>,
  signal: AbortSignal | undefined,
  { wait = sleepMs, random = Math.random }: RetryDeps,
): Promise<KubeResponse> {
  for (let attempt = 1; ; attempt += 1) {
    const response = await send();
    const { retryAfterMs } = retryAfterOf(response);
    const isBusy = response.status === 429 && retryAfterMs !== undefined && retryAfterMs <= MAX_WAIT_MS;
    if (!isBusy || attempt === MAX_ATTEMPTS) return response;
    // Jitter spreads the retries of rejected requests over time.
    await wait(retryAfterMs + random() * JITTER_MS, signal);
    signal?.throwIfAborted();
  }
}
