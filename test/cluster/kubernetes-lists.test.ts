import { describe, expect, it } from 'vitest';
import { createKubernetesCluster } from '../../src/cluster/kubernetes.ts';
import type { LabelSelector } from '../../src/core/label-selector.ts';
import { type Answer, type ApiServer, json, secret, startApiServer, status } from './api-server.ts';

const LABEL = { name: 'secretbridge.dev/instance', value: 'prod' };

const open = ({ kubeconfig }: ApiServer) =>
  createKubernetesCluster({ kubeconfig, env: {}, clock: { now: () => 0 } });

const item = (name: string) => {
  const {
    apiVersion: _,
    kind: __,
    ...rest
  } = secret({
    metadata: { name, namespace: 'team', uid: name, resourceVersion: '7' },
  }) as Record<string, unknown>;
  return rest;
};

const list = (items: unknown, place?: string, kind = 'SecretList') => ({
  kind,
  apiVersion: 'v1',
  metadata: { resourceVersion: '9', ...(place === undefined ? {} : { continue: place }) },
  items,
});

const EXPIRED = status(410, 'Expired', {}, 'The provided continue parameter is too old');

/** Returns the given responses in order, and then repeats the last one. */
function inTurn(server: ApiServer, ...answers: readonly [Answer, ...Answer[]]): void {
  let next = 0;
  server.answer((request, response) => {
    const answer = answers[Math.min(next, answers.length - 1)] ?? answers[0];
    next += 1;
    answer(request, response);
  });
}

describe('a list', () => {
  it('reads a list in pages, and sends the label selector for each page', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    inTurn(server, json(200, list([item('a'), item('b')], 'pl/ace=')), json(200, list([item('c')], '')));
    const found = await cluster.list('team', LABEL);
    expect(found.map(({ id }) => id.secret)).toEqual(['a', 'b', 'c']);
    const urls = server.seen.map(({ url }) => new URL(url, server.address));
    expect(urls.map(({ pathname }) => pathname)).toEqual(Array(2).fill('/api/v1/namespaces/team/secrets'));
    expect(urls.map(({ searchParams }) => Object.fromEntries(searchParams))).toEqual([
      { limit: '100', labelSelector: 'secretbridge.dev/instance=prod' },
      { limit: '100', labelSelector: 'secretbridge.dev/instance=prod', continue: 'pl/ace=' },
    ]);
  });

  it('requests a page that is too long again, with fewer objects', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    const large = (name: string, bytes: number) => {
      const { metadata, ...rest } = item(name) as { metadata: object };
      return { ...rest, metadata: { ...metadata, annotations: { large: 'x'.repeat(bytes) } } };
    };
    inTurn(
      server,
      json(200, list([large('a', 17 * 1024 ** 2)], 'one')),
      json(200, list([item('a')], 'two')),
      json(200, list([item('b')])),
    );
    expect((await cluster.list('team', LABEL)).map(({ id }) => id.secret)).toEqual(['a', 'b']);
    const pages = server.seen.map(({ url }) => Object.fromEntries(new URL(url, server.address).searchParams));
    expect(pages.map(({ limit, continue: at }) => ({ limit, at }))).toEqual([
      { limit: '100', at: undefined },
      { limit: '13', at: undefined },
      { limit: '100', at: 'two' },
    ]);
  });

  it('starts a list again at its first page after the continue token expired, and drops the pages that it has already read', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    inTurn(
      server,
      json(200, list([item('gone-since')], 'x')),
      json(410, EXPIRED),
      json(200, list([item('a')], 'y')),
      json(200, list([item('b')])),
    );
    expect((await cluster.list('team', LABEL)).map(({ id }) => id.secret)).toEqual(['a', 'b']);
  });

  it('fails if the continue token of a list expires repeatedly', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(({ url }, response) => {
      const answer = url.includes('continue=') ? json(410, EXPIRED) : json(200, list([item('a')], 'x'));
      answer({ method: '', url, headers: {}, body: '' }, response);
    });
    await expect(cluster.list('team', LABEL)).rejects.toMatchObject({
      code: 'CLUSTER_UNAVAILABLE',
      subject: 'Secrets of namespace team',
    });
    expect(server.seen).toHaveLength(10);
  });

  it.each<[string, Answer, string]>([
    ['RBAC', json(403, status(403, 'Forbidden', {}, ': User "x" cannot list resource')), 'CLUSTER_FORBIDDEN'],
    ['500', json(500, status(500, 'InternalError')), 'CLUSTER_UNAVAILABLE'],
    ['404 of a proxy', json(404, { error: 'no such route' }), 'CLUSTER_UNAVAILABLE'],
    ['410 at the start', json(410, EXPIRED), 'CLUSTER_UNAVAILABLE'],
    ['one Secret instead of a list', json(200, secret()), 'CLUSTER_UNAVAILABLE'],
    ['no items', json(200, list(undefined)), 'CLUSTER_UNAVAILABLE'],
    ['items that are not objects', json(200, list(['a'])), 'CLUSTER_UNAVAILABLE'],
    [
      'an item without a uid',
      json(200, list([{ metadata: { name: 'a', namespace: 'team' } }])),
      'CLUSTER_UNAVAILABLE',
    ],
    [
      'an item of another namespace',
      json(200, list([{ metadata: { name: 'a', namespace: 'other', uid: 'u', resourceVersion: '1' } }])),
      'CLUSTER_UNAVAILABLE',
    ],
  ])(
    'rejects the whole list if the response for the first or second page is %s',
    async (name, answer, code) => {
      await using server = await startApiServer();
      await using cluster = await open(server);
      server.answer(answer);
      await expect(cluster.list('team', LABEL)).rejects.toMatchObject({ code });
      if (name === '410 at the start') return;
      inTurn(server, json(200, list([item('a')], 'x')), answer);
      await expect(cluster.list('team', LABEL)).rejects.toMatchObject({ code });
    },
  );

  it('returns an empty list if the server returns no items', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    server.answer(json(200, list(null)));
    expect(await cluster.list('team', LABEL)).toEqual([]);
  });
});

const SELECTOR: LabelSelector = {
  matchLabels: { team: 'a', tier: '' },
  matchExpressions: [
    { key: 'kind', operator: 'In', values: ['b', 'a'] },
    { key: 'env', operator: 'NotIn', values: ['dev'] },
    { key: 'new', operator: 'Exists', values: [] },
    { key: 'old', operator: 'DoesNotExist', values: [] },
  ],
};

describe('namespaces', () => {
  it('lists namespaces in sorted order, and omits terminating namespaces', async () => {
    await using server = await startApiServer();
    await using cluster = await open(server);
    const named = (name: string, part: object = {}, phase = 'Active') => ({
      metadata: { name, ...part },
      status: { phase },
    });
    const items = [
      named('web'),
      named('ending', {}, 'Terminating'),
      named('deleted', { deletionTimestamp: '2026-11-25T10:00:00Z' }),
      named('api'),
    ];
    server.answer(json(200, list(items, undefined, 'NamespaceList')));
    expect(await cluster.namespaces(SELECTOR)).toEqual(['api', 'web']);
    const { searchParams, pathname } = new URL(server.seen[0]?.url ?? '', server.address);
    expect(pathname).toBe('/api/v1/namespaces');
    expect(searchParams.get('labelSelector')).toBe('!old,env notin (dev),kind in (a,b),new,team=a,tier=');
  });
});
