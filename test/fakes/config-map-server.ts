import type { ServerResponse } from 'node:http';
import { parseSelector, selects } from '../../src/core/label-selector.ts';
import {
  type Answer,
  type ApiServer,
  json,
  type Seen,
  startApiServer,
  status,
} from '../cluster/api-server.ts';

export interface FakeConfigMap {
  readonly labels?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryData?: Readonly<Record<string, string>>;
}

type Kind = 'list' | 'watch' | 'namespace' | 'namespaces';

/** An API server that has only namespaces and ConfigMaps, with label selectors and watches. */
export interface ConfigMapServer extends AsyncDisposable {
  readonly api: ApiServer;
  readonly kubeconfig: string;
  /** The number of requests of each kind. */
  readonly requests: Readonly<Record<Kind, number>>;
  put(namespace: string, name: string, map: FakeConfigMap): void;
  remove(namespace: string, name: string): void;
  /** Creates a namespace, lets it end, or removes it with its ConfigMaps. */
  namespace(name: string, state: 'active' | 'ending' | 'gone'): void;
  /** Answers each request of this kind like this. Undefined: normally. */
  answer(kind: Kind, answer: Answer | undefined): void;
  /** Ends all watches with the error 410, so that their clients list again. */
  expire(): void;
  /** Breaks the connections of all watches. */
  cut(): void;
}

interface Stored extends FakeConfigMap {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly version: number;
}

interface MapChange {
  readonly before: Stored | undefined;
  readonly now: Stored | undefined;
  readonly version: number;
}

interface OpenWatch {
  readonly response: ServerResponse;
  readonly namespace: string | undefined;
  readonly selector: string;
}

export const FORBIDDEN: Answer = json(
  403,
  status(403, 'Forbidden', {}, 'configmaps is forbidden: User "x" cannot list resource "configmaps"'),
);
export const BROKEN: Answer = json(503, status(503, 'ServiceUnavailable'));

export async function startConfigMapServer(...namespaces: readonly string[]): Promise<ConfigMapServer> {
  const api = await startApiServer();
  const server = new FakeServer(api);
  for (const name of namespaces) server.namespace(name, 'active');
  api.answer((request, response) => server.respond(request, response));
  return server;
}

class FakeServer implements ConfigMapServer {
  readonly api: ApiServer;
  readonly requests = { list: 0, watch: 0, namespace: 0, namespaces: 0 };
  readonly #maps = new Map<string, Stored>();
  readonly #namespaces = new Map<string, 'active' | 'ending'>();
  readonly #answers = new Map<Kind, Answer>();
  readonly #watches = new Set<OpenWatch>();
  readonly #changes: MapChange[] = [];
  #version = 10;

  constructor(api: ApiServer) {
    this.api = api;
  }

  get kubeconfig(): string {
    return this.api.kubeconfig;
  }

  put(namespace: string, name: string, map: FakeConfigMap): void {
    this.#version += 1;
    const id = `${namespace}/${name}`;
    const before = this.#maps.get(id);
    const uid = before?.uid ?? `uid-${this.#version}`;
    const stored = { ...map, namespace, name, uid, version: this.#version };
    this.#maps.set(id, stored);
    this.#changed({ before, now: stored, version: this.#version });
  }

  remove(namespace: string, name: string): void {
    this.#version += 1;
    const before = this.#maps.get(`${namespace}/${name}`);
    if (before === undefined) return;
    this.#maps.delete(`${namespace}/${name}`);
    this.#changed({ before, now: undefined, version: this.#version });
  }

  #changed(change: MapChange): void {
    this.#changes.push(change);
    for (const watch of this.#watches) sendChange(watch, change);
  }

  namespace(name: string, state: 'active' | 'ending' | 'gone'): void {
    this.#version += 1;
    const isNew = !this.#namespaces.has(name);
    if (state === 'gone') {
      this.#namespaces.delete(name);
      for (const map of this.#maps.values()) if (map.namespace === name) this.remove(name, map.name);
    } else this.#namespaces.set(name, state);
    const type = state === 'gone' ? 'DELETED' : isNew ? 'ADDED' : 'MODIFIED';
    for (const watch of this.#watches)
      if (watch.namespace === undefined)
        send(watch, type, namespaceOf(name, state === 'active' ? 'active' : 'ending', this.#version));
  }

  answer(kind: Kind, answer: Answer | undefined): void {
    if (answer === undefined) this.#answers.delete(kind);
    else this.#answers.set(kind, answer);
  }

  expire(): void {
    for (const watch of this.#watches) {
      send(watch, 'ERROR', status(410, 'Expired'));
      watch.response.end();
    }
  }

  cut(): void {
    for (const { response } of this.#watches) response.socket?.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api[Symbol.asyncDispose]();
  }

  respond(request: Seen, response: ServerResponse): void {
    const url = new URL(request.url, 'http://x');
    const [, , , , namespace, resource, name] = url.pathname.split('/');
    const isWatch = url.searchParams.get('watch') === 'true';
    const kind = isWatch
      ? 'watch'
      : resource !== undefined
        ? 'list'
        : namespace === undefined
          ? 'namespaces'
          : 'namespace';
    if (name === undefined) this.requests[kind] += 1;
    const planned = this.#answers.get(kind);
    const selector = url.searchParams.get('labelSelector') ?? '';
    const isMetadata = request.headers.accept?.includes('as=PartialObjectMetadataList') === true;
    if (planned !== undefined && name === undefined) planned(request, response);
    else if (isWatch) this.#open(url, namespace, response);
    else this.#plain({ namespace, resource, name, selector, isMetadata })(request, response);
  }

  #open(url: URL, namespace: string | undefined, response: ServerResponse): void {
    const watch = { response, namespace, selector: url.searchParams.get('labelSelector') ?? '' };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
    response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    const from = Number(url.searchParams.get('resourceVersion'));
    for (const change of this.#changes) if (change.version > from) sendChange(watch, change);
  }

  #plain({
    namespace,
    resource,
    name,
    selector,
    isMetadata,
  }: {
    readonly namespace: string | undefined;
    readonly resource: string | undefined;
    readonly name: string | undefined;
    readonly selector: string;
    readonly isMetadata: boolean;
  }): Answer {
    const metadata = { resourceVersion: `${this.#version}` };
    if (namespace === undefined) {
      const items = [...this.#namespaces].map(([item, state]) => namespaceOf(item, state, this.#version));
      const list = isMetadata
        ? { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadataList' }
        : { apiVersion: 'v1', kind: 'NamespaceList' };
      return json(200, { ...list, metadata, items });
    }
    const state = this.#namespaces.get(namespace);
    if (resource === undefined) {
      return state === undefined
        ? json(404, status(404, 'NotFound', { kind: 'namespaces', name: namespace }))
        : json(200, namespaceOf(namespace, state, this.#version));
    }
    if (name !== undefined) {
      const map = this.#maps.get(`${namespace}/${name}`);
      return map === undefined
        ? json(404, status(404, 'NotFound', { kind: 'configmaps', name }))
        : json(200, objectOf(map));
    }
    const items = [...this.#maps.values()]
      .filter((map) => map.namespace === namespace && matches({ selector }, map))
      .map(objectOf);
    return json(200, { apiVersion: 'v1', kind: 'ConfigMapList', metadata, items });
  }
}

function matches({ selector }: Pick<OpenWatch, 'selector'>, { labels = {} }: FakeConfigMap): boolean {
  return selects(parseSelector(selector) ?? {}, new Map(Object.entries(labels)));
}

/** An object that no longer matches the selector is reported as deleted. */
function sendChange(watch: OpenWatch, { before, now, version }: MapChange): void {
  const object = now ?? before;
  if (object === undefined || watch.namespace !== object.namespace) return;
  const [old, current] = [before, now].map((state) => state !== undefined && matches(watch, state));
  if (!old && !current) return;
  const type = current ? (old ? 'MODIFIED' : 'ADDED') : 'DELETED';
  send(watch, type, objectOf({ ...object, version }));
}

function send({ response }: OpenWatch, type: string, object: object): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}

function objectOf({ namespace, name, uid, version, labels, data, binaryData }: Stored): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name, uid, labels, resourceVersion: `${version}` },
    data,
    binaryData,
  };
}

function namespaceOf(name: string, state: 'active' | 'ending', version: number): object {
  const ending = state === 'ending' ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {};
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, uid: `uid-${name}`, resourceVersion: `${version}`, ...ending },
    status: { phase: state === 'ending' ? 'Terminating' : 'Active' },
  };
}
