import { describe, expect, it } from 'vitest';
import { type AwsServer, startAwsServer } from '../../fakes/aws-server.ts';
import { COUNT, expectAgreement, names, openScene, outcomes, type Scene } from './preflight-scene.ts';

// A one-shot `sync` of many targets does not read the sources of every target. It checks some targets only by metadata
// and by lists of the store. `plan` reads everything. The sync must find every change that `plan` finds.

async function openAws(): Promise<Scene & { readonly aws: AwsServer }> {
  await using stack = new AsyncDisposableStack();
  const aws = stack.use(await startAwsServer());
  for (const name of names) aws.store.put(name, `value of ${name}`);
  const { accessKeyId, secretAccessKey } = aws.root;
  const auth = {
    method: 'static',
    accessKeyId: { env: 'AWS_ACCESS_KEY_ID' },
    secretAccessKey: { env: 'AWS_SECRET_ACCESS_KEY' },
  };
  const store = { kind: 'aws-secrets-manager', region: 'eu-west-1', endpoint: aws.address, auth };
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const scene = stack.use(await openScene(store, env));
  const owned = stack.move();
  return { ...scene, aws, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('a one-shot sync with preflight', () => {
  it('reads no keys when everything is in sync, and misses no change in cluster or store', async () => {
    await using scene = await openAws();
    const { aws, patch } = scene;
    expect((await scene.sync()).summary).toMatchObject({ created: COUNT });
    const reads = () => aws.count('GetSecretValue') + aws.count('BatchGetSecretValue');
    const before = reads();
    expect((await scene.sync()).summary).toMatchObject({ unchanged: COUNT });
    expect(reads()).toBe(before);

    await patch('m0', { data: { VALUE: base64('edited') } });
    await patch('m1', { data: { VALUE: null } });
    await patch('m2', { data: { EXTRA: base64('more') } });
    await scene.remove('m3');
    aws.store.put('m4', 'second');
    await patch('m5', { metadata: { labels: { 'secretbridge.dev/instance': null } } });
    await patch('m6', { metadata: { labels: { 'secretbridge.dev/instance': 'other' } } });
    await patch('m7', { metadata: { labels: { 'secretbridge.dev/mapping': 'm8' } } });
    await patch('m8', { metadata: { labels: { team: 'red' } } });
    await patch('m9', { metadata: { annotations: { 'secretbridge.dev/sources': '{}' } } });
    await patch('m10', { metadata: { annotations: { 'secretbridge.dev/fingerprint': 'x:00' } } });
    await patch('m11', { metadata: { annotations: { 'secretbridge.dev/pin': '3' } } });
    await patch('m12', { immutable: true });
    await patch('m13', [{ op: 'replace', path: '/metadata/managedFields', value: [{}] }], 'json');
    await patch('m14', { metadata: { labels: { 'app.kubernetes.io/managed-by': 'helm' } } });
    // These two edits cancel each other out, so they require no write.
    await patch('m15', { data: { VALUE: base64('edited') } });
    await patch('m15', { data: { VALUE: base64('value of m15') } });
    await patch('m16', { data: { VALUE: null } });
    await patch('m16', { data: { VALUE: base64('put back wrongly') } });
    aws.store.put('m17', 'staged', { stages: ['AWSPENDING'] });
    await patch('m18', { metadata: { annotations: { 'secretbridge.dev/config': 'x' } } });

    const done = await expectAgreement(scene);
    expect(
      Object.fromEntries([...done].slice(0, COUNT).filter(([, outcome]) => outcome !== 'unchanged')),
    ).toMatchObject({
      m0: 'updated',
      m1: 'updated',
      m2: 'updated',
      m3: 'created',
      m4: 'updated',
      m5: 'NOT_OWNED',
      m6: expect.stringMatching(/NOT_OWNED|TARGET_CLAIMED/),
      m8: 'updated',
      m16: 'updated',
    });
    expect(await scene.secretValue('m0')).toBe('value of m0');
    expect(await scene.secretValue('m4')).toBe('second');
    await expectAgreement(scene);
  });

  it('proves the absence of a source by repeated reads, and then deletes the Secret', async () => {
    await using scene = await openAws();
    const { aws } = scene;
    await scene.configure({
      mappings: scene.configuration.mappings.map((mapping) =>
        mapping.name === 'm1' ? { ...mapping, onSourceMissing: 'delete' } : mapping,
      ),
    });
    await scene.sync();
    aws.store.remove('m0', 'force');
    aws.store.remove('m1', 'force');
    aws.store.remove('m2', 'schedule');
    for (const reading of [1, 2]) {
      const done = outcomes(await scene.sync());
      expect([done.get('m0'), done.get('m1'), done.get('m2')]).toEqual([
        'SOURCE_ABSENT',
        'SOURCE_ABSENT',
        'SOURCE_DELETED',
      ]);
      expect(await scene.records('--code', 'SOURCE_ABSENT', '--action', 'read', '--key', 'm1')).toHaveLength(
        reading,
      );
    }
    const done = outcomes(await scene.sync());
    expect([done.get('m0'), done.get('m1')]).toEqual(['SOURCE_ABSENT', 'deleted']);
    expect(await scene.secretValue('m1')).toBeUndefined();
    expect(await scene.secretValue('m0')).toBe('value of m0');
  });

  it('misses no change of configuration, stores, access rules, keys or instance', {
    tags: ['long'],
  }, async () => {
    await using scene = await openAws();
    const { aws, configuration, namespace } = scene;
    await scene.sync();
    const changed = new Map<string, Record<string, unknown>>([
      ['m0', { target: { namespace, labels: { team: 'green' } } }],
      ['m1', { data: { OTHER: { store: 'store', key: 'm1' } } }],
      ['m2', { data: { VALUE: { store: 'store', key: 'm1' } } }],
      ['m3', { onMappingRemoved: 'delete' }],
      ['m4', { refresh: '1h' }],
      ['m5', { template: { data: { T: '{{ VALUE }}' } } }],
      ['m6', { data: { VALUE: { store: 'store', key: 'm6', version: 'AWSCURRENT' } } }],
    ]);
    const mappings = configuration.mappings.map((mapping) => ({ ...mapping, ...changed.get(mapping.name) }));
    const rules = [
      { namespaces: [namespace], stores: ['store'], keys: names.filter((name) => name !== 'm7') },
    ];
    await scene.configure({ mappings, access: rules });
    const before = aws.requests.length;
    const done = await expectAgreement(scene);
    expect(done.get('m7')).toBe('NOT_ALLOWED');
    expect([0, 1, 2, 3, 5].map((n) => done.get(`m${n}`))).toEqual(Array(5).fill('updated'));
    expect(JSON.stringify(aws.requests.slice(before))).not.toContain('"m7"');

    const instance = `${namespace}-2`;
    await scene.configure({ mappings, instance, formerInstances: [namespace] });
    expect([...new Set((await expectAgreement(scene)).values())]).toEqual(['updated']);

    const stores = [{ ...configuration.stores[0], region: 'eu-west-2' }];
    await scene.configure({ mappings, instance, formerInstances: [namespace], stores });
    await expectAgreement(scene);
  });

  it("keeps a pinned target unchanged, and applies the store's version again after unpin", async () => {
    await using scene = await openAws();
    const { aws } = scene;
    await scene.sync();
    const [first] = await scene.records('--mapping', 'm0', '--action', 'create', '--outcome', 'ok');
    aws.store.put('m0', 'second');
    await scene.sync();
    const back = await scene.run('rollback', 'm0', '--to', String(first?.sequence));
    expect(back, back.stderr).toMatchObject({ code: 0 });
    expect(await scene.secretValue('m0')).toBe('value of m0');
    expect((await expectAgreement(scene)).get('m0')).toBe('unchanged');
    // The store now contains a newer version than the pin.
    aws.store.put('m0', 'third');
    expect((await expectAgreement(scene)).get('m0')).toBe('unchanged');
    expect(await scene.run('unpin', 'm0')).toMatchObject({ code: 0 });
    expect(await scene.secretValue('m0')).toBe('third');
  });

  it('trusts a stale list unless the command names the mapping or the store has `freshness: strict`', {
    tags: ['long'],
  }, async () => {
    await using scene = await openAws();
    const { aws, configuration } = scene;
    await scene.sync();
    const staleList = structuredClone(aws.store.all());
    aws.store.all = () => staleList;
    aws.store.put('m0', 'second');
    aws.store.put('m1', 'second');
    expect((await scene.sync()).summary).toMatchObject({ unchanged: COUNT });
    expect((await scene.sync('--mapping', 'm0')).summary).toMatchObject({ updated: 1 });
    // The Secret already contains a newer version than the list shows.
    expect((await scene.sync()).summary).toMatchObject({ unchanged: COUNT });
    expect([await scene.secretValue('m0'), await scene.secretValue('m1')]).toEqual(['second', 'value of m1']);
    const stores = [{ ...configuration.stores[0], freshness: 'strict' }];
    await scene.configure({ stores });
    expect((await scene.sync()).summary).toMatchObject({ updated: 1 });
    expect(await scene.secretValue('m1')).toBe('second');
  });
});
