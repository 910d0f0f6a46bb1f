import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type OnRemovedConfigMap, watchConfigMaps } from '../../src/app/config-maps/watched-source.ts';
import type { LoadResult } from '../../src/config/check-documents.ts';
import { createParsedFiles } from '../../src/config/files/parsing.ts';
import { loadConfig } from '../../src/config/load.ts';
import { watchConfig } from '../../src/config/watch/watch.ts';
import { VALID } from '../config/memory-fs.ts';
import { BROKEN, type ConfigMapServer, FORBIDDEN, startConfigMapServer } from '../fakes/config-map-server.ts';
import { json, status } from './api-server.ts';

const LABELS = { 'secretbridge.dev/mappings': 'true' };

function mapping(...names: readonly string[]) {
  const list = names.map(
    (name) => `  - { name: ${name}, data: { A: { store: team-vault, key: shop/a } } }\n`,
  );
  return { labels: LABELS, data: { 'mappings.yaml': `mappings:\n${list.join('')}` } };
}

const BROKEN_MAP = { labels: LABELS, data: { 'mappings.yaml': 'mappings: [ { nam: x } ]\n' } };

/** Follows the ConfigMaps of a fake API server as a service does. */
async function follow(server: ConfigMapServer, namespaces = '[shop]') {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-maps-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const main = join(folder, 'main.yaml');
  const include = `configMaps: { matchLabels: { secretbridge.dev/mappings: "true" } }, namespaces: ${namespaces}`;
  const write = (more = '') =>
    writeFile(
      main,
      `${VALID}cluster: { kind: kubernetes, kubeconfig: ${server.kubeconfig} }\n` +
        `include:\n  - { ${include}, stores: ['*'], keys: ['shop/**'] }\n${more}`,
    );
  await write();
  const removed: string[] = [];
  const onRemoved: OnRemovedConfigMap = ({ namespace, name }, cause) =>
    void removed.push(`${namespace}/${name} ${cause}`);
  const teams = stack.use(watchConfigMaps({ env: {}, clock: { now: () => Date.now() }, onRemoved }));
  const parsed = createParsedFiles();
  let current: LoadResult | undefined;
  let changes = 0;
  const usable = () => {
    if (current?.kind !== 'usable') throw new Error(JSON.stringify(current?.problems));
    return current;
  };
  const watch = stack.use(
    await watchConfig({
      load: (readFs) =>
        loadConfig({
          ...{ paths: [main], env: {}, cwd: folder, readFs, parsed, configMaps: teams.configMaps },
          ...(current?.kind === 'usable'
            ? { inForce: current.inForce, mappings: current.config.mappings }
            : {}),
        }),
      onChange: (loaded) => {
        changes += 1;
        current = loaded;
      },
      readFs: teams.readFs,
      watchFolder: teams.watchFolder,
    }),
  );
  current = watch.initial;
  const owned = stack.move();
  return {
    removed,
    changes: () => changes,
    names: () =>
      usable()
        .config.mappings.slice(1)
        .map(({ name }) => name),
    states: () => usable().config.includes.map(({ path, state }) => `${path} ${state}`),
    problems: () => usable().problems.map(({ code, message }) => `${code}: ${message}`),
    write,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const untilWatched = (server: ConfigMapServer) => expect.poll(() => server.requests.watch).toBeGreaterThan(0);

type Followed = Awaited<ReturnType<typeof follow>>;

const untilNames = (followed: Followed, names: readonly string[]) =>
  expect.poll(followed.names, { interval: 5 }).toEqual(names);
const untilStates = (followed: Followed, states: readonly string[]) =>
  expect.poll(followed.states, { interval: 5 }).toEqual(states);

/** Shows that a change which may not happen has not happened: a later change arrives, and the names are the same. */
async function settles(server: ConfigMapServer, followed: Followed, names: readonly string[]) {
  server.put('shop', 'zz-later', mapping('zz-later'));
  await untilNames(followed, [...names, 'shop.zz-later']);
}

async function start(...maps: readonly string[]) {
  const server = await startConfigMapServer('shop', 'kube-system');
  for (const name of maps) server.put('shop', name, mapping(name));
  return server;
}

describe('the ConfigMaps of a running service', () => {
  it('follow additions, changes and removals within two seconds', async () => {
    await using server = await start('one');
    server.put('shop', 'without', { ...mapping('without'), labels: {} });
    await using followed = await follow(server);
    expect(followed.names()).toEqual(['shop.one']);
    const begun = performance.now();
    server.put('shop', 'two', mapping('two'));
    await untilNames(followed, ['shop.one', 'shop.two']);
    expect(performance.now() - begun).toBeLessThan(2_000);
    server.put('shop', 'one', mapping('one', 'more'));
    await untilNames(followed, ['shop.one', 'shop.more', 'shop.two']);
    server.remove('shop', 'two');
    await untilNames(followed, ['shop.one', 'shop.more']);
    await expect.poll(() => followed.removed).toEqual(['shop/two deleted']);
  });

  it('are watched with the label selector, in their namespace only', async () => {
    await using server = await start('one');
    await using _ = await follow(server);
    await expect.poll(() => server.requests.watch).toBe(1);
    const urls = server.api.seen.map(({ url }) => new URL(url, 'http://x'));
    const lists = urls.filter(({ pathname }) => pathname.endsWith('/configmaps'));
    expect([...new Set(lists.map(({ pathname }) => pathname))]).toEqual([
      '/api/v1/namespaces/shop/configmaps',
    ]);
    expect([...new Set(lists.map(({ searchParams }) => searchParams.get('labelSelector')))]).toEqual([
      'secretbridge.dev/mappings=true',
    ]);
  });

  it('without the labels no longer count, and the reason is reported', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    server.put('shop', 'two', { ...mapping('two'), labels: {} });
    await untilNames(followed, ['shop.one']);
    await expect.poll(() => followed.removed).toEqual(['shop/two labels']);
  });

  it('a broken one keeps its last version, and does not stop the others', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    server.put('shop', 'one', BROKEN_MAP);
    await untilStates(followed, ['configmap:shop/one outdated', 'configmap:shop/two valid']);
    const begun = performance.now();
    server.put('shop', 'two', mapping('three'));
    await untilNames(followed, ['shop.one', 'shop.three']);
    expect(performance.now() - begun).toBeLessThan(2_000);
    server.put('shop', 'one', mapping('one'));
    await untilStates(followed, ['configmap:shop/one valid', 'configmap:shop/two valid']);
  });

  it('a mapping that moves to another ConfigMap never seems to be removed', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    const before = followed.changes();
    server.remove('shop', 'two');
    server.put('shop', 'three', mapping('two'));
    await untilStates(followed, ['configmap:shop/one valid', 'configmap:shop/three valid']);
    expect(followed.names()).toEqual(['shop.one', 'shop.two']);
    expect(followed.changes()).toBe(before + 1);
  });

  it('follow new namespaces that match a pattern', async () => {
    await using server = await start('one');
    await using followed = await follow(server, "[shop, 'team-*']");
    server.namespace('team-a', 'active');
    server.put('team-a', 'app', mapping('app'));
    await untilNames(followed, ['shop.one', 'team-a.app']);
    server.put('team-a', 'more', mapping('more'));
    await untilNames(followed, ['shop.one', 'team-a.app', 'team-a.more']);
    server.namespace('team-a', 'gone');
    await untilNames(followed, ['shop.one']);
  });

  it('a change of the main file and of a ConfigMap at the same time both apply', async () => {
    await using server = await start('one');
    await using followed = await follow(server);
    server.put('shop', 'two', mapping('two'));
    await followed.write('defaults: { refresh: 9m }\n');
    await untilNames(followed, ['shop.one', 'shop.two']);
  });
});

describe('what looks like a removal of ConfigMaps and is none', () => {
  it.each([
    ['fails', BROKEN],
    ['answers with an empty page of a proxy', json(200, {})],
  ])('a list that %s', async (_, answer) => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    await untilWatched(server);
    server.answer('list', answer);
    server.expire();
    await expect.poll(() => server.requests.list).toBeGreaterThan(2);
    expect(followed.names()).toEqual(['shop.one', 'shop.two']);
    server.answer('list', undefined);
    await settles(server, followed, ['shop.one', 'shop.two']);
    expect(followed.removed).toEqual([]);
  });

  it('a list that is forbidden, which is reported', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    await untilWatched(server);
    server.answer('list', FORBIDDEN);
    server.answer('watch', FORBIDDEN);
    server.cut();
    await untilStates(followed, ['configmap:shop/one outdated', 'configmap:shop/two outdated']);
    expect(followed.names()).toEqual(['shop.one', 'shop.two']);
    expect(followed.problems()).toEqual([expect.stringMatching(/^CLUSTER_FORBIDDEN: /)]);
    server.answer('list', undefined);
    server.answer('watch', undefined);
    await untilStates(followed, ['configmap:shop/one valid', 'configmap:shop/two valid']);
  });

  it('an answer 410, after which the ConfigMaps are listed again', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    await untilWatched(server);
    server.expire();
    await expect.poll(() => server.requests.list).toBe(2);
    await settles(server, followed, ['shop.one', 'shop.two']);
  });

  it('a removal that a 410 hides is found by the next list', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    await untilWatched(server);
    server.answer('watch', json(410, status(410, 'Expired')));
    server.cut();
    server.remove('shop', 'two');
    server.answer('watch', undefined);
    await untilNames(followed, ['shop.one']);
  });

  it('a namespace that is ending, until it is gone', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    server.namespace('shop', 'ending');
    server.remove('shop', 'one');
    await untilStates(followed, ['configmap:shop/one outdated', 'configmap:shop/two valid']);
    expect(followed.names()).toEqual(['shop.one', 'shop.two']);
    expect(followed.problems()).toEqual([
      'CONFIG_INVALID: the ConfigMap is gone, but its mappings stay in force, because the namespace is ending',
    ]);
    server.namespace('shop', 'gone');
    await untilNames(followed, []);
    expect(followed.removed).toEqual([]);
  });

  it('a namespace that is ending at the start', async () => {
    await using server = await start('one');
    server.namespace('shop', 'ending');
    await using followed = await follow(server);
    expect(followed.states()).toEqual(['configmap:shop disabled']);
    expect(followed.problems()).toEqual([expect.stringMatching(/^NAMESPACE_MISSING: .*is ending/)]);
  });

  it('a namespace that may not be read, which is reported', async () => {
    await using server = await start('one', 'two');
    await using followed = await follow(server);
    server.answer('namespace', FORBIDDEN);
    server.remove('shop', 'two');
    await untilStates(followed, ['configmap:shop/one valid', 'configmap:shop/two outdated']);
    expect(followed.problems()).toEqual([expect.stringContaining('secretbridge rbac')]);
    server.answer('namespace', undefined);
    await untilNames(followed, ['shop.one']);
  });

  it('an API server that does not answer at the start', async () => {
    await using server = await start('one');
    server.answer('list', BROKEN);
    await using followed = await follow(server);
    expect(followed.states()).toEqual(['configmap:shop disabled']);
    server.answer('list', undefined);
    await untilStates(followed, ['configmap:shop/one valid']);
  });

  it('a main file that is invalid for a while', async () => {
    await using server = await start('one');
    await using followed = await follow(server);
    await followed.write('defaults: { refresh: never }\n');
    await expect
      .poll(() => {
        try {
          return followed.names();
        } catch {
          return 'invalid';
        }
      })
      .toBe('invalid');
    await followed.write();
    await untilNames(followed, ['shop.one']);
  });
});

describe('the size of ConfigMaps', () => {
  it('a namespace with too much text keeps what fits, and reads the rest when there is room', async () => {
    await using server = await start('one');
    const comment = `# ${'x'.repeat(900 * 1024)}\n`;
    const large = (name: string) => {
      const { labels, data } = mapping(name);
      return { labels, data: { 'mappings.yaml': comment + data['mappings.yaml'] } };
    };
    const names = ['a1', 'a2', 'a3', 'a4', 'a5'];
    for (const name of names) server.put('shop', name, large(name));
    await using followed = await follow(server);
    expect(followed.states()).toContain('configmap:shop/a5 disabled');
    expect(followed.names()).toEqual(['shop.a1', 'shop.a2', 'shop.a3', 'shop.a4', 'shop.one']);
    server.remove('shop', 'a1');
    await untilNames(followed, ['shop.a2', 'shop.a3', 'shop.a4', 'shop.a5', 'shop.one']);
  });
});
