import { systemClock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { createStorePolicy } from '../../src/providers/policy.ts';
import type { ProviderDeps } from '../../src/providers/provider.ts';
import type { Deadline } from '../../src/providers/timing.ts';

export interface TestDeps extends Partial<ProviderDeps> {
  readonly env?: Record<string, string>;
  readonly timeoutMs?: number;
  readonly deadline?: (ms: number) => Deadline;
}

/** Creates dependencies for a provider in tests. They are a reduced form of those that `app.ts` passes. */
export function testDeps({ env = {}, timeoutMs = 10_000, deadline, ...rest }: TestDeps = {}): ProviderDeps {
  const clock = rest.clock ?? systemClock;
  // These dependencies contain no probe, so the provider has no breaker. A breaker would wait after a failure, but
  // tests let the store fail and recover without a pause.
  const limits = { requestsPerSecond: 10_000, concurrency: 8, timeoutMs };
  return {
    name: 'test-store',
    clock,
    fingerprints: createFingerprinter(SecretValue.fromBytes(Buffer.alloc(32, 7))),
    credential: (reference) => resolveCredential(reference, { env }),
    limit: createStorePolicy({ limits, ...(deadline === undefined ? {} : { deadline }) }).limit,
    ...rest,
  };
}

/** Returns a function that creates deadlines. They all expire as soon as the proxy leaves a request unanswered. */
export function untilHang(proxy: { onHang: () => void }): () => Deadline {
  const running = new Set<AbortController>();
  proxy.onHang = () => {
    for (const controller of running) controller.abort(new AppError('TIMEOUT'));
  };
  return () => {
    const controller = new AbortController();
    running.add(controller);
    return { signal: controller.signal, stop: () => running.delete(controller) };
  };
}
