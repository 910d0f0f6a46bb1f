import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { BenchError } from '../harness/error.ts';
import type { Lab } from './lab.ts';

/** Sees the Secrets of a namespace as the API server tells everybody who watches. */
export interface Witness extends AsyncDisposable {
  /**
   * Resolves when a Secret holds this value, to when that was told, by `performance.now()`. To be called before the
   * value can be there.
   * @throws BenchError when that takes too long.
   */
  sees(secret: string, value: string): Promise<number>;
  /** Told of each Secret that changed, until the result is called. */
  onChange(listener: (secret: string) => void): () => void;
}

interface Told {
  readonly type: string;
  readonly object: {
    readonly metadata: { readonly name: string; readonly resourceVersion: string };
    readonly data?: Readonly<Record<string, string>>;
  };
}

/** The key of each Secret that is looked at. */
export const FIELD = 'VALUE';
const LONGEST_MS = 120_000;

export async function watchSecrets({ kubernetes }: Lab, namespace: string): Promise<Witness> {
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

  const take = ({ type, object: { metadata, data } }: Told, at: number): void => {
    if (type === 'ERROR') throw new BenchError('the watch of the benchmark fell behind');
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
          const told = JSON.parse(line) as Told;
          take(told, at);
          from = told.object.metadata.resourceVersion;
        }
      }
    }
  };
  const following = follow();
  // Whoever waits is told by the time it takes; what ends the watch is thrown at the end.
  void Promise.allSettled([following]);

  return {
    sees(secret, value) {
      const { promise, resolve, reject } = Promise.withResolvers<number>();
      const id = `${secret} ${value}`;
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(new BenchError(`${secret} was not as it should be within ${LONGEST_MS / 1_000} s`));
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
