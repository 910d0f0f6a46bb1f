import { expect, it } from 'vitest';
import { within } from './service-process.ts';
import { base64, openWorld } from './world.ts';

it('a selector includes a namespace that is created or labeled after the start', async () => {
  await using world = await openWorld({
    namespaces: [],
    scope: 'namespace',
    config: ({ prefix, ns }) => `mappings:
  - name: app
    target: { namespaceSelector: { matchLabels: { bridge: ${ns('yes')} } } }
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
`,
  });
  await world.vault.put('app', { a: 'value' });
  await using served = await world.serve();
  expect((await served.status()).targets).toEqual([]);
  const expectSecretIn = (short: string) => async () =>
    expect((await world.secret('app', short))?.data).toEqual({ A: base64('value') });

  await world.createNamespace('one', { bridge: world.ns('yes') });
  const appeared = await within(10_000, expectSecretIn('one'));
  await world.createNamespace('two');
  await world.label('two', { bridge: world.ns('yes') });
  const labelled = await within(10_000, expectSecretIn('two'));
  console.log(
    `a namespace that appears is served after ${appeared} ms, one that gets its label after ${labelled} ms`,
  );
  await within(5_000, async () =>
    expect((await served.status()).targets).toMatchObject([{ state: 'synced' }, { state: 'synced' }]),
  );

  // By default, the Secret stays in a namespace that the selector no longer selects.
  await world.label('two', { bridge: null });
  await within(5_000, async () => expect((await served.status()).targets).toHaveLength(1));
  await expectSecretIn('two')();
  expect((await served.stop()).code).toBe(0);
});

it('syncs into a new namespace after its Role exists', async () => {
  await using world = await openWorld({
    namespaces: ['apps'],
    granted: false,
    config: ({ prefix, ns }) => `defaults: { refresh: 5s }
mappings:
  - name: app
    target: { namespaces: [ ${ns('apps')}, ${ns('later')} ] }
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
`,
  });
  await world.vault.put('app', { a: 'value' });
  await using served = await world.serve();
  await within(15_000, async () =>
    expect((await served.status()).targets).toMatchObject([
      { code: 'CLUSTER_FORBIDDEN' },
      { code: expect.stringMatching(/^(CLUSTER_FORBIDDEN|NAMESPACE_MISSING)$/) },
    ]),
  );
  expect((await served.status()).cluster).toMatchObject({ state: 'degraded', code: 'CLUSTER_FORBIDDEN' });
  expect((await served.get('/livez')).status).toBe(200);
  await world.createNamespace('later');
  await world.grant();
  const elapsedMs = await within(60_000, async () => {
    for (const short of ['apps', 'later'])
      expect((await world.secret('app', short))?.data).toEqual({ A: base64('value') });
  });
  console.log(`both namespaces are served ${elapsedMs} ms after their Roles`);
  await within(5_000, async () => {
    const { cluster, targets } = await served.status();
    expect(cluster).toEqual({ kind: 'kubernetes', state: 'up' });
    expect(targets).toMatchObject([{ state: 'synced' }, { state: 'synced' }]);
  });
});
