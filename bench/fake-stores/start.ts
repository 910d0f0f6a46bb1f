import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Command, Counts } from './fake-store.ts';

/** A fake store in a separate process, so that its CPU time and memory do not count for the measured program. */
export interface RunningFakeStore extends AsyncDisposable {
  readonly address: string;
  /** The certificate of the store's CA, as PEM. */
  readonly ca: string;
  readonly env: Readonly<Record<string, string>>;
  put(values: Readonly<Record<string, string>>): Promise<void>;
  /** Sets the delay of every response. */
  delay(ms: number): Promise<void>;
  /**
   * Makes the store answer 429 to all further requests of a second, like a Vault with a quota. The counts then have an
   * operation `throttled N` for each second, where the first second is 0. Undefined removes the quota.
   */
  quota(perSecond: number | undefined): Promise<void>;
  /** Returns the request counts since the start of the store. */
  counts(): Promise<Counts>;
  /** Runs the work and counts the requests that the store receives during the work. */
  during<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly counts: Counts }>;
}

export async function startFakeStore(kind: 'aws' | 'azure' | 'vault'): Promise<RunningFakeStore> {
  const child = fork(join(import.meta.dirname, 'serve.ts'), [kind], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const answer = async () => (await once(child, 'message'))[0] as unknown;
  const started = (await answer()) as Pick<RunningFakeStore, 'address' | 'ca' | 'env'>;
  // Send one command at a time, because a reply does not identify its command.
  let last: Promise<unknown> = Promise.resolve();
  const sendCommand = (command: Command): Promise<unknown> => {
    const next = last.then(() => {
      const answered = answer();
      child.send(command);
      return answered;
    });
    last = next;
    return next;
  };
  const counts = async () => (await sendCommand({ kind: 'counts' })) as Counts;
  return {
    ...started,
    async put(values) {
      await sendCommand({ kind: 'put', values });
    },
    async delay(ms) {
      await sendCommand({ kind: 'latency', ms });
    },
    async quota(perSecond) {
      await sendCommand({ kind: 'quota', perSecond });
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

/** Returns the difference between two counts. Operations without new requests are omitted. */
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
