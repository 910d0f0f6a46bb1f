import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Counts, Order } from './double.ts';

/** A double in a process of its own, so that its work does not count as ours. */
export interface RunningDouble extends AsyncDisposable {
  readonly address: string;
  /** PEM of the authority of its certificate. */
  readonly ca: string;
  readonly env: Readonly<Record<string, string>>;
  put(values: Readonly<Record<string, string>>): Promise<void>;
  /** Of each answer from now on. */
  delay(ms: number): Promise<void>;
  /** Since it was started. */
  counts(): Promise<Counts>;
  /** What is counted while something is done. */
  during<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly counts: Counts }>;
}

export async function startDouble(kind: 'aws' | 'azure' | 'vault'): Promise<RunningDouble> {
  const child = fork(join(import.meta.dirname, 'serve.ts'), [kind], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const answer = async () => (await once(child, 'message'))[0] as unknown;
  const started = (await answer()) as Pick<RunningDouble, 'address' | 'ca' | 'env'>;
  // One order at a time: an answer does not say whose it is.
  let last: Promise<unknown> = Promise.resolve();
  const order = (what: Order): Promise<unknown> => {
    const next = last.then(() => {
      const answered = answer();
      child.send(what);
      return answered;
    });
    last = next;
    return next;
  };
  const counts = async () => (await order({ kind: 'counts' })) as Counts;
  return {
    ...started,
    async put(values) {
      await order({ kind: 'put', values });
    },
    async delay(ms) {
      await order({ kind: 'latency', ms });
    },
    counts,
    async during(work) {
      const before = await counts();
      const result = await work();
      return { result, counts: countsBetween(before, await counts()) };
    },
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.disconnect();
      await ended;
    },
  };
}

/** What was added from one to the other; operations without a call are left out. */
export function countsBetween(before: Counts, after: Counts): Counts {
  const added = Object.entries(after.calls).map(
    ([operation, count]) => [operation, count - (before.calls[operation] ?? 0)] as const,
  );
  return {
    calls: Object.fromEntries(added.filter(([, count]) => count !== 0)),
    connections: after.connections - before.connections,
  };
}

export function totalOf({ calls }: Counts): number {
  return Object.values(calls).reduce((sum, count) => sum + count, 0);
}
