import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import type { SecretChange } from './isolation.ts';
import type { MapVersion, Texts } from './model.ts';

interface RawObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly resourceVersion: string;
    readonly labels?: Texts;
  };
  readonly data?: Texts;
  readonly binaryData?: Texts;
}

interface RawEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: RawObject;
}

export interface Access {
  readonly address: string;
  readonly caFile: string;
  readonly token: string;
}

/** What the API server has shown of the ConfigMaps and Secrets of the teams. */
export interface Witness extends AsyncDisposable {
  /** The versions of each ConfigMap, by namespace and then by name, oldest first. */
  readonly histories: ReadonlyMap<string, ReadonlyMap<string, readonly MapVersion[]>>;
  readonly changes: readonly SecretChange[];
}

/** Watches as the administrator, without any code of the service. Starts when the namespaces are empty. */
export async function startWitness(
  access: Access,
  namespaces: readonly string[],
  /** Returns whether a value belongs to another team than the owner of the namespace. */
  isForeign: (value: string, namespace: string) => boolean,
): Promise<Witness> {
  const histories = new Map(namespaces.map((namespace) => [namespace, new Map<string, MapVersion[]>()]));
  const changes: SecretChange[] = [];
  const ending = new AbortController();
  let failure: unknown;
  const watches = [
    followAll(access, 'configmaps', ending.signal, ({ type, object }) => {
      const { metadata, data = {}, binaryData = {} } = object;
      const { namespace, name, labels = {} } = metadata;
      const history = histories.get(namespace);
      if (history === undefined) return;
      const isDeleted = type === 'DELETED';
      const version = { namespace, name, at: Date.now(), labels, data, binaryData, isDeleted };
      const versions = history.get(name) ?? [];
      versions.push(version);
      history.set(name, versions);
    }),
    followAll(access, 'secrets', ending.signal, ({ type, object: { metadata, data = {} } }) => {
      const { namespace, name } = metadata;
      if (!histories.has(namespace)) return;
      const values = Object.values(data).map((value) => Buffer.from(value, 'base64').toString());
      changes.push({
        type: type as SecretChange['type'],
        ...{ namespace, name, at: Date.now(), keys: Object.keys(data) },
        hasForeignValue: values.some((value) => isForeign(value, namespace)),
      });
    }),
  ];
  const { listed, done } = collect(watches, (error) => {
    if (!ending.signal.aborted) failure = error;
  });
  await listed;
  const checked = <T>(value: T): T => {
    if (failure !== undefined) throw new Error('the watch of the witness ended', { cause: failure });
    return value;
  };
  return {
    get histories() {
      return checked(histories);
    },
    get changes() {
      return checked(changes);
    },
    async [Symbol.asyncDispose]() {
      ending.abort();
      await done;
    },
  };
}

interface Following {
  /** Resolves when the watch has a start. */
  readonly listed: Promise<void>;
  readonly done: Promise<void>;
}

function collect(watches: readonly Following[], onError: (error: unknown) => void): Following {
  const done = Promise.all(watches.map((watch) => watch.done.catch(onError)));
  return {
    listed: Promise.all(watches.map(({ listed }) => listed)).then(() => undefined),
    done: done.then(() => undefined),
  };
}

/** Lists the objects of all namespaces, and watches them from then on. The listed objects are no events. */
function followAll(
  { address, caFile, token }: Access,
  resource: string,
  signal: AbortSignal,
  onEvent: (event: RawEvent) => void,
): Following {
  const dispatcher = new Agent({
    allowH2: false,
    connect: { ca: readFileSync(caFile, 'utf8') },
    bodyTimeout: 0,
  });
  const headers = { authorization: `Bearer ${token}` };
  const get = (query: string) =>
    request(new URL(`/api/v1/${resource}?${query}`, address), { dispatcher, headers, signal });
  const list = async (): Promise<string> => {
    const { body } = await get('limit=1');
    return ((await body.json()) as RawObject).metadata.resourceVersion;
  };
  const follow = async (from: string): Promise<void> => {
    let resourceVersion = from;
    while (!signal.aborted) {
      const { body } = await get(`watch=true&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`);
      let rest = '';
      body.setEncoding('utf8');
      for await (const chunk of body) {
        const lines = (rest + String(chunk)).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const event = JSON.parse(line) as RawEvent;
          if (event.type === 'ERROR') throw new Error(`the watch of the ${resource} fell behind`);
          if (event.type !== 'BOOKMARK') onEvent(event);
          ({ resourceVersion } = event.object.metadata);
        }
      }
    }
  };
  const start = list();
  const done = start.then(follow).finally(() => dispatcher.destroy());
  return { listed: start.then(() => undefined), done };
}
