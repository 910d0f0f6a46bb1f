import type { ServerResponse } from 'node:http';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import type { WatchTuning } from '../../src/cluster/watch.ts';
import { type Answer, type ApiServer, json, type Seen, startApiServer } from './api-server.ts';

/** A server with one list and its watches. The test defines the responses. */
export interface WatchServer extends AsyncDisposable {
  readonly api: ApiServer;
  readonly lists: readonly Seen[];
  readonly watches: readonly Seen[];
  /** The responses to the next requests, in order. All later requests get the default responses. */
  next(kind: 'list' | 'watch', ...answers: readonly Answer[]): void;
  /** Sends the events to every open watch stream. */
  send(...events: readonly object[]): void;
  sendText(text: string): void;
  end(): void;
  cut(): void;
}

export async function startWatchServer(): Promise<WatchServer> {
  const api = await startApiServer();
  const lists: Seen[] = [];
  const watches: Seen[] = [];
  const open = new Set<ServerResponse>();
  const next: Record<'list' | 'watch', Answer[]> = { list: [], watch: [] };
  api.answer((request, response) => {
    const kind = request.url.includes('watch=true') ? 'watch' : 'list';
    (kind === 'watch' ? watches : lists).push(request);
    const planned = next[kind].shift();
    if (planned !== undefined) planned(request, response);
    else if (kind === 'list') json(200, list([item('app', '1')]))(request, response);
    else {
      open.add(response);
      response.on('close', () => open.delete(response));
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
    }
  });
  const sendText = (text: string) => {
    for (const response of open) response.write(text);
  };
  return {
    api,
    lists,
    watches,
    next: (kind, ...answers) => void next[kind].push(...answers),
    send: (...events) => sendText(events.map((event) => `${JSON.stringify(event)}\n`).join('')),
    sendText,
    end() {
      for (const response of open) response.end();
    },
    cut() {
      for (const response of open) response.socket?.resetAndDestroy();
    },
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

/** Short delays for tests. */
export const SWIFT: WatchTuning = { firstWaitMs: 1, longestWaitMs: 5 };

export function connectTo({ api }: WatchServer, watches: WatchTuning = SWIFT) {
  return createKubernetesCluster({ kubeconfig: api.kubeconfig, env: {}, clock: { now: () => 0 }, watches });
}

export function item(name: string, resourceVersion: string, metadata: object = {}): object {
  return {
    apiVersion: 'meta.k8s.io/v1',
    kind: 'PartialObjectMetadata',
    metadata: { name, namespace: 'team', uid: `uid-${name}`, resourceVersion, ...metadata },
  };
}

export function list(items: readonly object[], metadata: object = { resourceVersion: '10' }): object {
  return { apiVersion: 'meta.k8s.io/v1', kind: 'PartialObjectMetadataList', metadata, items };
}

export const event = (type: string, object: object) => ({ type, object });

export const bookmark = (version: string) =>
  event('BOOKMARK', { metadata: { resourceVersion: version, creationTimestamp: null } });
