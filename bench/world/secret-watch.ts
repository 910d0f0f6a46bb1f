import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { BenchError } from '../harness/error.ts';
import type { Lab } from './lab.ts';

/** Watches the Secrets of a namespace at the API server. */
export interface SecretWatch extends AsyncDisposable {
  /**
   * Waits for a watch event in which the Secret contains this value. Resolves with the `performance.now()` of this
   * event. Call this method before the value can appear.
   * @throws BenchError after a timeout.
   */
  sees(secret: string, value: string): Promise<number>;
  /** Calls the listener for each changed Secret. Returns a function that removes the listener. */
  onChange(listener: (secret: string) => void): () => void;
}

interface WatchEvent {
  readonly type: string;
  readonly object: {
    readonly metadata: { readonly name: string; readonly resourceVersion: string };
    readonly data?: Readonly<Record<string, string>>;
  };
}

/** The key whose value is compared in each Secret. */
export const FIELD = 'VALUE';
const LONGEST_MS = 120_000;

export async function watchSecrets({ kubernetes }: Lab, namespace: string): Promise<SecretWatch> {
  const { address, caFile, adminToken } = kubernetes;
  const dispatcher = new Agent({
    allowH2: false,
    connect: { ca: await readFile(caFile, 'utf8') },
    bodyTimeout: 0,
  });
  const headers = { authorization: `Bearer ${adminToken}` };
  const path = `${address}/api/v1/namespaces/${namespace}/secrets`;
  const waiting = new Map<string, (at: number) => void>();
  const listeners = new Set<(secret: string) => void>();
  const ending = new AbortController();
  const { signal } = ending;

  const take = ({ type, object: { metadata, data } }: WatchEvent, at: number): void => {
    if (type === 'ERROR') throw new BenchError('the watch of the API server expired');
    const { name } = metadata;
    for (const listener of listeners) listener(name);
    const value = Buffer.from(data?.[FIELD] ?? '', 'base64').toString('utf8');
    const id = `${name} ${value}`;
    waiting.get(id)?.(at);
    waiting.delete(id);
  };
  const list = await request(`${path}?limit=1`, { dispatcher, headers });
  const { metadata } = (await list.body.json()) as { metadata: { resourceVersion: string } };
  const follow = async (): Promise<void> => {
    for (let from = metadata.resourceVersion; !signal.aborted; ) {
      const watch = await request(`${path}?watch=true&resourceVersion=${from}`, {
        dispatcher,
        headers,
        signal,
      });
      let rest = '';
      for await (const chunk of watch.body.setEncoding('utf8')) {
        const at = performance.now();
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const event = JSON.parse(line) as WatchEvent;
          take(event, at);
          from = event.object.metadata.resourceVersion;
        }
      }
    }
  };
  const following = follow();
  // If the watch fails, `sees` rejects after its timeout. `close` throws the error that ended the watch.
  void Promise.allSettled([following]);

  return {
    sees(secret, value) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const id = `${secret} ${value}`;
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new BenchError(`${secret} did not get the expected value within ${LONGEST_MS / 1_000} s`));
      }, LONGEST_MS);
      waiting.set(id, (at) => {
        clearTimeout(timer);
        resolve(at);
      });
      return promise;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      const [{ status, reason }] = (await Promise.allSettled([following])) as [
        { status: string; reason?: unknown },
      ];
      await dispatcher.destroy();
      if (status === 'rejected' && reason instanceof BenchError) throw reason;
    },
  };
}
