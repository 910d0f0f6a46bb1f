import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';

export interface Cluster {
  readonly address: string;
  readonly caFile: string;
  readonly token: string;
}

/** One change of a Secret, as a watch reports it. */
export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly secret: string;
  readonly resourceVersion: string;
}

export interface Witness extends AsyncDisposable {
  /** Returns all changes up to now. To catch up, writes a marker Secret and waits for its event. */
  changes(): Promise<readonly Change[]>;
  /** The changes that have arrived so far. */
  readonly received: readonly Change[];
  /** Called for each change from now on. */
  onChange: (() => void) | undefined;
}

const MARKER = 'witness-marker';

/** Watches the Secrets of one namespace as the administrator, independently of the code under test. */
export async function watchSecrets(cluster: Cluster, namespace: string): Promise<Witness> {
  const dispatcher = new Agent({
    allowH2: false,
    connect: { ca: readFileSync(cluster.caFile, 'utf8') },
    bodyTimeout: 0,
  });
  const headers = { authorization: `Bearer ${cluster.token}`, 'content-type': 'application/json' };
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const send = (method: 'GET' | 'POST', query = '', body?: object) =>
    request(new URL(path + query, cluster.address), {
      dispatcher,
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });

  const list = await send('GET');
  const { metadata } = (await list.body.json()) as { metadata: { resourceVersion: string } };
  const watch = await send('GET', `?watch=true&resourceVersion=${metadata.resourceVersion}`);

  const received: Change[] = [];
  const markers = new Map<string, () => void>();
  let failure: unknown;
  const reading = (async () => {
    let rest = '';
    for await (const chunk of watch.body) {
      const lines = (rest + String(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) handleEvent(JSON.parse(line) as RawEvent);
    }
  })().catch((error: unknown) => {
    failure = error;
  });

  function handleEvent({ type, object }: RawEvent): void {
    const { name, resourceVersion } = object.metadata;
    const arrived = markers.get(name);
    if (arrived !== undefined) arrived();
    else if (!name.startsWith(MARKER)) {
      received.push({ type, secret: name, resourceVersion });
      witness.onChange?.();
    }
  }

  const witness: Witness = {
    received,
    onChange: undefined,
    async changes() {
      const name = `${MARKER}-${markers.size}`;
      const arrival = Promise.withResolvers<void>();
      markers.set(name, arrival.resolve);
      const answer = await send('POST', '', { apiVersion: 'v1', kind: 'Secret', metadata: { name } });
      await answer.body.dump();
      await Promise.race([arrival.promise, reading]);
      if (failure !== undefined) throw new Error('the watch of the witness ended', { cause: failure });
      return [...received];
    },
    async [Symbol.asyncDispose]() {
      await dispatcher.destroy();
      await reading;
    },
  };
  return witness;
}

interface RawEvent {
  readonly type: Change['type'];
  readonly object: { readonly metadata: { readonly name: string; readonly resourceVersion: string } };
}
