import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import type { Cluster } from '../integration/e2e/witness.ts';
import { type Item, moreIn, NAMESPACES, versionIn, type World } from './world.ts';

/** One change of a Secret, as a watch reports it. Contains no secret value. */
export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  /** `namespace/name` */
  readonly target: string;
  readonly resourceVersion: string;
  /** Milliseconds since 1970, by the clock of this process. */
  readonly at: number;
  /** The source version of the data. Undefined when the data matches no version. */
  readonly version: number | undefined;
  /** The version of the second source of a `partial` item. */
  readonly more?: number | undefined;
  /** A hash of data, labels and annotations. */
  readonly content: string;
}

export interface Witness extends AsyncDisposable {
  readonly changes: readonly Change[];
  /** Returns the last change of a target. */
  last(target: string): Change | undefined;
  /** Calls the listener for each change from now on. Returns a function that stops the calls. */
  onChange(listener: (change: Change) => void): () => void;
}

interface RawEvent {
  readonly type: Change['type'] | 'BOOKMARK' | 'ERROR';
  readonly object: {
    readonly metadata: {
      readonly name: string;
      readonly namespace: string;
      readonly resourceVersion: string;
      readonly labels?: object;
      readonly annotations?: object;
    };
    readonly data?: Readonly<Record<string, string>>;
  };
}

/** Watches the Secrets in the namespaces of the soak test as the administrator, bypassing the proxies. */
export async function startWitness(cluster: Cluster, world: World): Promise<Witness> {
  const dispatcher = new Agent({
    allowH2: false,
    connect: { ca: readFileSync(cluster.caFile, 'utf8') },
    bodyTimeout: 0,
  });
  const headers = { authorization: `Bearer ${cluster.token}` };
  const items = new Map(world.items.map((item) => [item.name, item]));
  const changes: Change[] = [];
  const latest = new Map<string, Change>();
  const listeners = new Set<(change: Change) => void>();
  const ending = new AbortController();
  let failure: unknown;

  const handleEvent = ({ type, object: { metadata, data = {} } }: RawEvent): void => {
    if (type === 'BOOKMARK') return;
    if (type === 'ERROR') throw new Error('the watch of the witness fell behind');
    const { namespace, name, resourceVersion, labels, annotations } = metadata;
    const item: Item | undefined = items.get(name);
    const target = `${namespace}/${name}`;
    const change: Change = {
      type,
      target,
      resourceVersion,
      at: Date.now(),
      version: item === undefined || type === 'DELETED' ? undefined : versionIn(world, item, data),
      more: item === undefined || type === 'DELETED' ? undefined : moreIn(item, data),
      content: createHash('sha256')
        .update(JSON.stringify([data, labels, annotations]))
        .digest('hex')
        .slice(0, 16),
    };
    changes.push(change);
    latest.set(target, change);
    for (const listener of listeners) listener(change);
  };

  const follow = async (namespace: string, from: string): Promise<void> => {
    let resourceVersion = from;
    while (!ending.signal.aborted) {
      const path = `/api/v1/namespaces/${namespace}/secrets?watch=true&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`;
      const watch = await request(new URL(path, cluster.address), {
        dispatcher,
        headers,
        signal: ending.signal,
      });
      let rest = '';
      for await (const chunk of watch.body) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const event = JSON.parse(line) as RawEvent;
          handleEvent(event);
          resourceVersion = event.object.metadata.resourceVersion;
        }
      }
    }
  };

  const running = NAMESPACES.map(async (namespace) => {
    const list = await request(new URL(`/api/v1/namespaces/${namespace}/secrets`, cluster.address), {
      dispatcher,
      headers,
    });
    const { metadata } = (await list.body.json()) as { metadata: { resourceVersion: string } };
    return metadata.resourceVersion;
  });
  const starts = await Promise.all(running);
  const following = NAMESPACES.map((namespace, n) =>
    follow(namespace, starts[n] ?? '0').catch((error: unknown) => {
      if (!ending.signal.aborted) failure = error;
    }),
  );

  return {
    get changes() {
      if (failure !== undefined) throw new Error('the watch of the witness ended', { cause: failure });
      return changes;
    },
    last: (target) => latest.get(target),
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await Promise.all(following);
      await dispatcher.destroy();
    },
  };
}
