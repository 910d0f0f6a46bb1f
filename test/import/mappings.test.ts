import { describe, expect, it } from 'vitest';
import { AWS, AZURE, external, imported, places, store, VAULT } from './harness.ts';

const one = { data: [{ secretKey: 'PASSWORD', remoteRef: { key: 'app/db', property: 'password' } }] };

describe('an ExternalSecret', () => {
  it('an ExternalSecret becomes a mapping that adopts its Secret and removes the owner reference', async () => {
    const { mapping, report } = await imported(VAULT, external({ ...one, refreshInterval: '1h30m0s' }));
    expect(mapping).toEqual({
      name: 'apps.db',
      target: { namespace: 'apps', secret: 'db' },
      data: { PASSWORD: { store: 'vault', key: 'app/db', property: 'password' } },
      refresh: '1h30m',
      onConflict: 'adoptAndDropOwner',
    });
    expect(report('ExternalSecret', 'db')).toMatchObject({
      outcome: 'carried',
      becomes: ['apps.db'],
      findings: [],
    });
  });

  it.each([
    [{ creationPolicy: 'Orphan' }, { onConflict: 'adopt' }, []],
    // External Secrets also treats a soft-deleted value as missing.
    [
      { deletionPolicy: 'Delete' },
      { onSourceMissing: 'delete', softDeletedIsMissing: true },
      ['spec.target.deletionPolicy'],
    ],
    [
      { deletionPolicy: 'Merge' },
      { onSourceMissing: 'removeKeys', softDeletedIsMissing: true },
      ['spec.target.deletionPolicy'],
    ],
    [{ deletionPolicy: 'Retain' }, {}, []],
    [
      { name: 'other', immutable: true },
      { target: { namespace: 'apps', secret: 'other', immutable: true } },
      [],
    ],
    [{ creationPolicy: 'Merge' }, { target: { namespace: 'apps', secret: 'db', mode: 'merge' } }, []],
    [
      { creationPolicy: 'CreateOrMerge' },
      { target: { namespace: 'apps', secret: 'db', mode: 'merge' } },
      ['spec.target.creationPolicy'],
    ],
    [
      {
        template: {
          type: 'kubernetes.io/basic-auth',
          metadata: { labels: { team: 'a' }, annotations: { b: 'c' } },
        },
      },
      {
        target: {
          namespace: 'apps',
          secret: 'db',
          type: 'kubernetes.io/basic-auth',
          labels: { team: 'a' },
          annotations: { b: 'c' },
        },
      },
      [],
    ],
  ])(
    'an ExternalSecret becomes a corresponding mapping with the target %j',
    async (target, expected, changed) => {
      const { mapping, report } = await imported(VAULT, external({ ...one, target }));
      expect(mapping).toMatchObject(expected);
      expect(places(report('ExternalSecret', 'db'), 'changed')).toEqual(changed);
      if ('target' in expected && 'mode' in expected.target) expect(mapping).not.toHaveProperty('onConflict');
    },
  );

  it.each([
    [{ refreshInterval: '0' }, { refresh: '3650d' }, 'spec.refreshInterval'],
    [{ refreshInterval: '0s' }, { refresh: '3650d' }, 'spec.refreshInterval'],
    [
      { refreshPolicy: 'CreatedOnce', refreshInterval: '1h' },
      { refresh: '3650d', onDrift: 'report' },
      'spec.refreshPolicy',
    ],
    [{ refreshPolicy: 'OnChange' }, { refresh: '3650d' }, 'spec.refreshPolicy'],
    [{ refreshPolicy: 'Periodic', refreshInterval: '90s' }, { refresh: '1m30s' }, undefined],
    [{ refreshInterval: '1.5h' }, { refresh: '1h30m' }, undefined],
    [{}, { refresh: '1h' }, undefined],
  ])(
    'an ExternalSecret becomes a corresponding mapping with the refresh settings %j',
    async (spec, expected, changed) => {
      const { mapping, report } = await imported(VAULT, external({ ...one, ...spec }));
      expect(mapping).toMatchObject(expected);
      expect(places(report('ExternalSecret', 'db'), 'changed')).toEqual(
        changed === undefined ? [] : [changed],
      );
    },
  );

  it.each([
    [
      VAULT,
      { key: 'secret/data/app/db', property: 'a.b', version: '3' },
      { store: 'vault', key: 'app/db', property: 'a.b', version: '3' },
    ],
    [VAULT, { key: 'a', property: 'tls\\.crt' }, { store: 'vault', key: 'a', property: 'tls.crt' }],
    [
      VAULT,
      { key: 'a', property: 'p', decodingStrategy: 'Base64' },
      { store: 'vault', key: 'a', property: 'p', decode: 'base64' },
    ],
    [
      VAULT,
      { key: 'a', property: 'p', decodingStrategy: 'Base64URL' },
      { store: 'vault', key: 'a', property: 'p', decode: 'base64url' },
    ],
    [AWS, { key: 'app/db', version: 'AWSCURRENT' }, { store: 'aws', key: 'app/db' }],
    [AWS, { key: 'app/db', version: 'AWSPREVIOUS' }, { store: 'aws', key: 'app/db', version: 'AWSPREVIOUS' }],
    [
      AWS,
      { key: 'a', version: 'uuid/0b3bd1e4-1f24-4e27-a4a8-35a6d2f0a3c5' },
      { store: 'aws', key: 'a', version: '0b3bd1e4-1f24-4e27-a4a8-35a6d2f0a3c5' },
    ],
    [AZURE, { key: 'name' }, { store: 'azure', key: 'name' }],
    [AZURE, { key: 'secret/name', property: 'p' }, { store: 'azure', key: 'name', property: 'p' }],
    [AZURE, { key: 'key/name' }, { store: 'azure', key: 'name', object: 'key' }],
    [AZURE, { key: 'cert/name' }, { store: 'azure', key: 'name', object: 'certificate' }],
  ])('an ExternalSecret becomes a mapping that reads from %o with %j', async (from, remoteRef, expected) => {
    const secretStoreRef = { name: from.metadata.name, kind: 'ClusterSecretStore' };
    const { mapping } = await imported(
      from,
      external({ secretStoreRef, data: [{ secretKey: 'K', remoteRef }] }),
    );
    expect(mapping?.data).toEqual({ K: expected });
  });

  it.each([
    ['property', { key: 'a', property: 'list.*.name' }],
    ['metadataPolicy', { key: 'a', metadataPolicy: 'Fetch' }],
  ])('an ExternalSecret is not converted if its field %s has no equivalent', async (field, remoteRef) => {
    const { result, mappings, report } = await imported(
      VAULT,
      external({ data: [{ secretKey: 'K', remoteRef }] }),
    );
    expect(mappings).toEqual([]);
    expect(report('ExternalSecret', 'db')?.outcome).toBe('notCarried');
    expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual([`spec.data[0].remoteRef.${field}`]);
    expect(result.needsPerson).toBe(true);
  });

  it("an ExternalSecret becomes an inactive mapping if a part is not imported, because an active mapping would remove the part's keys", async () => {
    const { result, mappings } = await imported(
      VAULT,
      external({ ...one, dataFrom: [{ sourceRef: { generatorRef: { kind: 'Password', name: 'p' } } }] }),
    );
    expect(mappings).toEqual([]);
    expect(result.config).toMatch(/^# Incomplete, so not active: ExternalSecret apps\/db/m);
    expect(result.config).toMatch(/^#.*PASSWORD/m);
  });

  it.each([
    ['data.__proto__', { data: [{ secretKey: '__proto__', remoteRef: { key: 'a' } }] }],
    // A template that only returns a value becomes a source.
    ['data.__proto__', { ...one, target: { template: { data: { ['__proto__']: '{{ .PASSWORD }}' } } } }],
    [
      'template.data.__proto__',
      { ...one, target: { template: { data: { ['__proto__']: 'x{{ .PASSWORD }}' } } } },
    ],
    ['dataFrom.0.find.tags.__proto__', { dataFrom: [{ find: { tags: { ['__proto__']: 'x' } } }] }],
  ])(
    'an ExternalSecret with an invalid name at %s is reported as not converted, and other objects are converted',
    async (at, spec) => {
      const { mappings, report } = await imported(
        VAULT,
        external(spec),
        external(one, { name: 'other', namespace: 'apps' }),
      );
      expect(mappings.map(({ name }) => name)).toEqual(['apps.other']);
      expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual([at]);
    },
  );

  it.each(['toString', 'constructor', '__proto__'])(
    'an ExternalSecret gets the default policy if its policy is unknown: %s',
    async (deletionPolicy) => {
      const { mapping } = await imported(VAULT, external({ ...one, target: { deletionPolicy } }));
      expect(mapping).not.toHaveProperty('onSourceMissing');
    },
  );

  it('an ExternalSecret causes a note about missing sources, with a different text for one source and for several', async () => {
    const policy = async (deletionPolicy: string) => {
      const { report } = await imported(VAULT, external({ ...one, target: { deletionPolicy } }));
      return report('ExternalSecret', 'db')
        ?.findings.map(({ what }) => what)
        .join();
    };
    const first = 'a source that never existed fails the mapping, unless it is `optional`';
    expect(await policy('Merge')).toContain(first);
    expect(await policy('Delete')).toContain(first);
    expect(await policy('Delete')).toContain('while one source remains, all keys stay');
    expect(await policy('Merge')).not.toContain('while one source remains');
  });

  it('the report lists the unknown fields of an ExternalSecret', async () => {
    const { report } = await imported(VAULT, external({ ...one, target: { newField: 1 } }));
    expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual(['spec.target.newField']);
  });

  it('an ExternalSecret of an unrendered chart becomes an inactive mapping, because its placeholders would be used literally', async () => {
    for (const key of ['{{ .Values.path }}/db', `apps/\${CLUSTER_NAME}/db`]) {
      const { report, mappings } = await imported(
        VAULT,
        external({ data: [{ secretKey: 'K', remoteRef: { key, property: 'p' } }] }),
      );
      expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual(['spec.data[0].remoteRef.key']);
      expect(mappings).toEqual([]);
    }
    const tags = { env: '{{ .Values.env }}' };
    const found = await imported(VAULT, external({ dataFrom: [{ find: { path: 'a', tags } }] }));
    expect(places(found.report('ExternalSecret', 'db'), 'lost')).toEqual(['spec.dataFrom[0].find.tags.env']);
  });

  it('the user must check an ExternalSecret if its template prints `{{` and `}}` as text', async () => {
    const { report } = await imported(
      VAULT,
      external({ ...one, target: { template: { data: { k: 'a {{ `{{ .K }}` }}' } } } }),
    );
    expect(report('ExternalSecret', 'db')?.findings).toContainEqual({
      level: 'changed',
      at: 'spec.target.template.data.k',
      what: expect.stringContaining('braces'),
      todo: expect.stringContaining('helm template'),
    });
  });

  it('an ExternalSecret with automatic decoding requires the user to set the encoding', async () => {
    const remoteRef = { key: 'a', property: 'p', decodingStrategy: 'Auto' };
    const { mapping, report } = await imported(VAULT, external({ data: [{ secretKey: 'K', remoteRef }] }));
    expect(mapping?.data).toEqual({ K: { store: 'vault', key: 'a', property: 'p' } });
    expect(report('ExternalSecret', 'db')?.findings).toMatchObject([
      { level: 'changed', todo: expect.any(String) },
    ]);
  });

  it('the labels of an ExternalSecret are copied, except for labels of other tools', async () => {
    const metadata = {
      labels: { team: 'a', 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: { note: 'x', 'kubectl.kubernetes.io/last-applied-configuration': '{}' },
    };
    const { mapping } = await imported(VAULT, external(one, { name: 'db', namespace: 'apps', ...metadata }));
    expect(mapping?.target).toMatchObject({ labels: { team: 'a' }, annotations: { note: 'x' } });
  });

  it('an ExternalSecret is refused if it writes the Secret of another object', async () => {
    const { mappings, report } = await imported(
      VAULT,
      external(one),
      external({ ...one, target: { name: 'db' } }, { name: 'second', namespace: 'apps' }),
    );
    expect(mappings.map(({ name }) => name)).toEqual(['apps.db']);
    expect(places(report('ExternalSecret', 'second'), 'lost')).toEqual(['spec.target']);
  });
});

describe('dataFrom', () => {
  const from = (entry: object, of = VAULT) =>
    imported(
      of,
      external({ secretStoreRef: { name: of.metadata.name, kind: 'ClusterSecretStore' }, dataFrom: [entry] }),
    );

  it.each([
    [{ extract: { key: 'app' } }, { key: 'app', rename: { invalid: 'replace' } }],
    [
      { extract: { key: 'app' }, rewrite: [{ regexp: { source: '(.*)', target: 'APP_$1' } }] },
      { key: 'app', rename: { prefix: 'APP_' } },
    ],
    [
      { extract: { key: 'app' }, rewrite: [{ transform: { template: 'x_{{ .value | upper }}' } }] },
      { key: 'app', rename: { case: 'upper', prefix: 'x_' } },
    ],
    [
      {
        extract: { key: 'app' },
        rewrite: [{ transform: { template: '{{ printf "x_%s" .value | upper }}' } }],
      },
      { key: 'app', rename: { case: 'upper', prefix: 'X_' } },
    ],
    [
      { find: { path: 'dev/app', name: { regexp: '.*' } } },
      { find: { path: 'dev/app/' }, rename: { prefix: 'dev/app/', invalid: 'replace' } },
    ],
    [
      { find: { path: 'dev/app', name: { regexp: '^dev/app/db-' } } },
      { find: { path: 'dev/app/', name: '^db-' }, rename: { prefix: 'dev/app/', invalid: 'replace' } },
    ],
    [
      {
        find: { path: 'dev', name: { regexp: '.*' } },
        rewrite: [{ regexp: { source: 'dev/(.*)', target: '$1' } }],
      },
      { find: { path: 'dev/' } },
    ],
    [{ find: { tags: { env: 'dev' } } }, { find: { tags: { env: 'dev' } }, rename: { invalid: 'replace' } }],
    // The path of a search may start with the mount of the engine. The names of the found keys keep the mount.
    [
      { find: { path: 'secret/data/dev', name: { regexp: '^secret/data/dev/db-' } } },
      { find: { path: 'dev/', name: '^db-' }, rename: { prefix: 'secret/data/dev/', invalid: 'replace' } },
    ],
    [
      { find: { path: 'secret', name: { regexp: '^secret/db-' } } },
      { find: { name: '^db-' }, rename: { prefix: 'secret/', invalid: 'replace' } },
    ],
    [
      {
        find: { path: 'secret/dev', name: { regexp: '.*' } },
        rewrite: [{ regexp: { source: '^secret/dev/', target: '' } }],
      },
      { find: { path: 'dev/' } },
    ],
    [
      { extract: { key: 'app' }, rewrite: [{ regexp: { source: '[^a-zA-Z0-9._-]', target: '_' } }] },
      { key: 'app', rename: { invalid: 'replace' } },
    ],
    [
      { extract: { key: 'app' }, rewrite: [{ regexp: { source: '-', target: '_' } }] },
      { key: 'app', rename: { replace: { from: '-', to: '_' } } },
    ],
    [
      {
        extract: { key: 'app' },
        rewrite: [{ transform: { template: 'x-{{ .value | replace "." "-" | upper }}' } }],
      },
      { key: 'app', rename: { case: 'upper', replace: { from: '.', to: '-' }, prefix: 'x-' } },
    ],
    [
      { extract: { key: 'app' }, rewrite: [{ regexp: { source: 'a+', target: 'b' } }] },
      { key: 'app', rename: { patterns: [{ match: 'a+', to: 'b' }] } },
    ],
    [
      {
        extract: { key: 'app' },
        rewrite: [
          { regexp: { source: '^db-(.*)$', target: '$1' } },
          { regexp: { source: '[^a-zA-Z0-9._-]+', target: '_' } },
          { transform: { template: 'x-{{ .value | upper }}' } },
        ],
      },
      {
        key: 'app',
        rename: {
          patterns: [
            { match: '^db-(.*)$', to: '$1' },
            { match: '[^a-zA-Z0-9._-]+', to: '_' },
          ],
          case: 'upper',
          prefix: 'x-',
        },
      },
    ],
    [
      {
        find: { path: 'dev', name: { regexp: '.*' } },
        rewrite: [
          { regexp: { source: '^dev/', target: '' } },
          { regexp: { source: '(\\w+)-(\\w+)', target: `\${2}_$1` } },
        ],
      },
      { find: { path: 'dev/' }, rename: { patterns: [{ match: '(\\w+)-(\\w+)', to: `\${2}_$1` }] } },
    ],
  ])('an entry of dataFrom is converted: %j', async (entry, expected) => {
    const { mapping, report } = await from(entry);
    expect(mapping?.dataFrom).toEqual([{ store: 'vault', ...expected }]);
    expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual([]);
  });

  it.each([
    // A pattern of `rename` does not see the search path.
    [
      {
        find: { path: 'dev', name: { regexp: '.*' } },
        rewrite: [{ regexp: { source: 'a+', target: 'b' } }],
      },
      'spec.dataFrom[0].rewrite[0]',
    ],
    // A group that does not exist.
    [
      { extract: { key: 'app' }, rewrite: [{ regexp: { source: 'a+', target: '$1x' } }] },
      'dataFrom.0.rename.patterns.0.to',
    ],
    [
      { extract: { key: 'app' }, rewrite: [{ transform: { template: '{{ .value }}_x' } }] },
      'spec.dataFrom[0].rewrite[0]',
    ],
    [
      { find: { name: { regexp: '.*' } }, rewrite: [{ merge: { into: 'x', strategy: 'JSON' } }] },
      'spec.dataFrom[0].rewrite[0]',
    ],
    // `rename` changes the case before it replaces a text.
    [
      {
        extract: { key: 'app' },
        rewrite: [
          { regexp: { source: 'a', target: 'b' } },
          { transform: { template: '{{ .value | upper }}' } },
        ],
      },
      'spec.dataFrom[0].rewrite[1]',
    ],
    // The first rewrite step replaces a `/` in the name, so the second rewrite step can no longer find the path.
    ...[
      { regexp: { source: '^dev/', target: '' } },
      { regexp: { source: 'dev/', target: '' } },
      { regexp: { source: 'dev/(.*)', target: 'x-$1' } },
      { transform: { template: '{{ .value | trimPrefix "dev/" }}' } },
    ].map((second): [object, string] => [
      {
        find: { path: 'dev', name: { regexp: '.*' } },
        rewrite: [{ regexp: { source: '/', target: '_' } }, second],
      },
      'spec.dataFrom[0].rewrite[1]',
    ]),
    [{ find: { path: 'a', name: { regexp: '^b/' } } }, 'spec.dataFrom[0].find.name.regexp'],
    [
      { sourceRef: { generatorRef: { kind: 'Password', name: 'p' } } },
      'spec.dataFrom[0].sourceRef.generatorRef',
    ],
  ])(
    'a part of an ExternalSecret is reported as not convertible if it has no equivalent: %j',
    async (entry, at) => {
      const { report, mappings } = await from(entry);
      expect(mappings).toEqual([]);
      expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual([at]);
    },
  );

  it('an entry of dataFrom with a property must read an object, because a string with JSON is not parsed', async () => {
    const { mapping, report } = await from({ extract: { key: 'app', property: 'nested' } });
    expect(mapping?.dataFrom).toMatchObject([{ key: 'app', property: 'nested' }]);
    expect(report('ExternalSecret', 'db')?.findings).toMatchObject([
      { level: 'changed', at: 'spec.dataFrom[0].extract.property', todo: expect.any(String) },
    ]);
  });

  it('a search of dataFrom removes keys that it no longer finds, unless other sources must keep their keys', async () => {
    const find = { path: 'dev', name: { regexp: '.*' } };
    const alone = await from({ find });
    expect(alone.mapping).toMatchObject({ onSourceMissing: 'removeKeys', softDeletedIsMissing: true });
    const secretStoreRef = { name: 'vault', kind: 'ClusterSecretStore' };
    const both = { secretStoreRef, ...one, dataFrom: [{ find }] };
    const beside = await imported(VAULT, external(both));
    expect(beside.mapping).not.toHaveProperty('onSourceMissing');
    expect(beside.mapping).not.toHaveProperty('softDeletedIsMissing');
    for (const result of [alone, beside])
      expect(result.report('ExternalSecret', 'db')?.findings).toContainEqual({
        level: 'changed',
        at: 'spec.dataFrom[0].find',
        what: expect.stringMatching(/^a key that is no longer found (?:is removed once|stays)/),
      });
    const merged = await imported(VAULT, external({ ...both, target: { deletionPolicy: 'Merge' } }));
    expect(merged.mapping).toMatchObject({ onSourceMissing: 'removeKeys' });
    expect(JSON.stringify(merged.report('ExternalSecret', 'db')?.findings)).not.toContain('found no more');
  });

  it('a search of dataFrom in Vault causes a note about the format of whole secrets', async () => {
    const searched = await from({ find: { path: 'dev', name: { regexp: '.*' } } });
    const named = await imported(VAULT, external({ data: [{ secretKey: 'K', remoteRef: { key: 'a' } }] }));
    const [finding, kept, ...more] = searched.report('ExternalSecret', 'db')?.findings ?? [];
    expect(finding).toMatchObject({ level: 'changed', at: 'spec.dataFrom[0].find' });
    expect(kept).toMatchObject({ what: expect.stringMatching(/^a key that is no longer found/) });
    expect(more).toEqual([]);
    expect(named.report('ExternalSecret', 'db')?.findings).toMatchObject([{ what: finding?.what }]);
  });

  it("a search of dataFrom in AWS causes a note that the path is cut at a slash, and adds the store's prefix to keys", async () => {
    const found = await from({ find: { path: 'dev', name: { regexp: '^dev/x' } } }, AWS);
    expect(places(found.report('ExternalSecret', 'db'), 'changed')).toEqual([
      'spec.dataFrom[0].find.path',
      'spec.dataFrom[0].find',
    ]);
    const prefixed = store('aws', {
      aws: { service: 'SecretsManager', region: 'eu-west-1', prefix: 'team/' },
    });
    expect((await from({ extract: { key: 'app' } }, prefixed)).mapping?.dataFrom).toMatchObject([
      { key: 'team/app' },
    ]);
  });

  it('a search of dataFrom in AWS can combine a prefix with a leading slash, unless access is limited to namespaces', async () => {
    const provider = { aws: { service: 'SecretsManager', region: 'eu-west-1', prefix: 'team/' } };
    const slashed = { extract: { key: '/app' } };
    expect((await from(slashed, store('aws', provider))).mapping?.dataFrom).toMatchObject([
      { key: 'team//app' },
    ]);
    const { mappings, report } = await from(
      slashed,
      store('aws', provider, { conditions: [{ namespaces: ['apps'] }] }),
    );
    expect(mappings).toEqual([]);
    expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual(['dataFrom[0].key']);
  });
});

describe('dataFrom by names below a path', () => {
  const find = (regexp: string) =>
    imported(VAULT, external({ dataFrom: [{ find: { path: 'dev', name: { regexp } } }] }));

  it.each([
    ['^dev', undefined],
    ['^dev/', undefined],
    ['^de.*$', undefined],
    ['^dev/(a|b)$', '^(a|b)$'],
    ['^dev/[|a]b', '^[|a]b'],
    ['^dev/a\\|b', '^a\\|b'],
  ])('an entry of dataFrom is converted: %j', async (regexp, name) => {
    const { mapping, report } = await find(regexp);
    const searched = { path: 'dev/', ...(name === undefined ? {} : { name }) };
    expect(mapping?.dataFrom?.map((source) => source.find)).toEqual([searched]);
    expect(places(report('ExternalSecret', 'db'), 'changed')).not.toContain(
      'spec.dataFrom[0].find.name.regexp',
    );
  });

  // These patterns can also match elsewhere in the name or in the path.
  it.each(['^dev/a(b)|v', '^dev/a|b', '^dev/?a', '^dev/*', '^de?v/a', '^de[v]', 'v', 'a$', '^dev.a'])(
    'the user must check a search by names if its pattern does not clearly begin with the path: %j',
    async (regexp) => {
      const { mapping, report } = await find(regexp);
      expect(mapping?.dataFrom).toMatchObject([{ find: { path: 'dev/', name: regexp } }]);
      expect(report('ExternalSecret', 'db')?.findings).toContainEqual({
        level: 'changed',
        at: 'spec.dataFrom[0].find.name.regexp',
        what: expect.any(String),
        todo: expect.any(String),
      });
    },
  );

  it.each(['^b/', '^prod', '^deva', '^dev-'])(
    'a search by names is reported if its pattern matches no name: %j',
    async (regexp) => {
      const { mappings, report } = await find(regexp);
      expect(mappings).toEqual([]);
      expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual(['spec.dataFrom[0].find.name.regexp']);
    },
  );
});

describe('dataFrom by tags', () => {
  it.each([
    [AWS, { tags: { env: 'prod' } }, 1],
    [AWS, { name: { regexp: '^x' }, tags: { env: 'prod' } }, 1],
    [AWS, { name: { regexp: '^x' } }, 0],
    [AZURE, { tags: { env: 'prod' } }, 0],
  ])(
    'only in AWS, a search by tags causes a note about prefix matching: %o with %j, %i times',
    async (from, find, count) => {
      const secretStoreRef = { name: from.metadata.name, kind: 'ClusterSecretStore' };
      const { report } = await imported(from, external({ secretStoreRef, dataFrom: [{ find }] }));
      const changed = places(report('ExternalSecret', 'db'), 'changed');
      expect(changed.filter((at) => at === 'spec.dataFrom[0].find.tags')).toHaveLength(count);
    },
  );
});

describe('an ExternalSecret template', () => {
  const withTemplate = (template: object, sources: object = one) =>
    imported(VAULT, external({ ...sources, target: { template } }));

  it('the sources of a template are removed from the Secret under the policy Replace, and kept under the policy Merge', async () => {
    const data = { url: 'pg://{{ .PASSWORD }}@h' };
    expect((await withTemplate({ data })).mapping?.template).toEqual({
      data: { url: 'pg://{{ PASSWORD }}@h' },
      only: true,
    });
    expect((await withTemplate({ data, mergePolicy: 'Merge' })).mapping?.template).toEqual({
      data: { url: 'pg://{{ PASSWORD }}@h' },
    });
  });

  it('a template that does nothing but print values becomes the sources of these values, so the bytes of the values stay intact', async () => {
    const { mapping } = await withTemplate({
      data: { key: '{{ .PASSWORD | b64dec }}', same: '{{ .PASSWORD }}' },
    });
    expect(mapping).not.toHaveProperty('template');
    expect(mapping?.data).toEqual({
      key: { store: 'vault', key: 'app/db', property: 'password', decode: 'base64' },
      same: { store: 'vault', key: 'app/db', property: 'password' },
    });
  });

  it('a template with an invalid key causes the same message as in `validate`', async () => {
    const { report } = await imported(
      VAULT,
      external({
        target: { template: { data: { 'a/b': 'x' } } },
        data: [{ secretKey: 'K', remoteRef: { key: 'db', property: 'k' } }],
      }),
    );
    const found = report('ExternalSecret', 'db')?.findings.find(({ at }) => at === 'template.data.a/b');
    expect(found?.what).toMatch(/^is not valid in the configuration: expected a key of `\[-\._a-zA-Z0-9\]`/);
  });

  it('a source gets another name if a key of the template has the same name', async () => {
    const { mapping } = await withTemplate({ data: { PASSWORD: 'x{{ .PASSWORD }}' } });
    expect(Object.keys(mapping?.data ?? {})).toEqual(['source_PASSWORD']);
    expect(mapping?.template?.data).toEqual({ PASSWORD: 'x{{ source_PASSWORD }}' });
    const merged = await withTemplate({ mergePolicy: 'Merge', data: { PASSWORD: 'x{{ .PASSWORD }}' } });
    expect(merged.mapping?.template).toEqual({ only: true, data: { PASSWORD: 'x{{ source_PASSWORD }}' } });
  });

  it('if a template reads one object, the members that the template uses become sources', async () => {
    const { mapping } = await withTemplate(
      { data: { url: '{{ .user }}:{{ index . "pass-word" }}' } },
      { dataFrom: [{ extract: { key: 'app' } }] },
    );
    expect(mapping?.data).toEqual({
      user: { store: 'vault', key: 'app', property: 'user' },
      'pass-word': { store: 'vault', key: 'app', property: 'pass-word' },
    });
    expect(mapping).not.toHaveProperty('dataFrom');
  });

  it.each(['{{ .constructor }}', '{{ .constructor | upper }}', '{{ .toString }}'])(
    'a template that reads one object can use %s as a member name',
    async (text) => {
      const { mapping } = await withTemplate(
        { data: { out: text } },
        { dataFrom: [{ extract: { key: 'app' } }] },
      );
      const [member] = /constructor|toString/.exec(text) ?? [];
      expect(Object.values(mapping?.data ?? {})).toEqual([{ store: 'vault', key: 'app', property: member }]);
    },
  );

  it('a template that reads one object uses the keys of this object if their names may have been rewritten', async () => {
    const dataFrom = [{ extract: { key: 'app' } }];
    const { mapping } = await withTemplate(
      { data: { url: '{{ .db_user }}@h', same: '{{ .db_user }}' } },
      { dataFrom },
    );
    expect(mapping).not.toHaveProperty('data');
    expect(mapping?.dataFrom).toEqual([
      { store: 'vault', key: 'app', rename: { invalid: 'replace', prefix: 'source_' } },
    ]);
    expect(mapping?.template).toEqual({
      data: { url: '{{ source_db_user }}@h', same: '{{ source_db_user }}' },
      only: true,
    });
    const renamed = await withTemplate(
      { data: { same: '{{ .db_user }}' } },
      { dataFrom: [{ extract: { key: 'app', conversionStrategy: 'Unicode' } }] },
    );
    expect(renamed.mapping?.data).toEqual({ same: { store: 'vault', key: 'app', property: 'db_user' } });
  });

  it('the user must check a template with two loop variables, because a list would cause other output', async () => {
    const loop = '{{ range $k, $v := fromJson .PASSWORD }}{{ $k }}={{ $v }}{{ end }}';
    const { mapping, report } = await withTemplate({ data: { all: loop } });
    expect(mapping?.template?.data.all).toContain('{% for ');
    expect(report('ExternalSecret', 'db')?.findings).toContainEqual({
      level: 'changed',
      at: 'spec.target.template.data.all',
      what: expect.stringMatching(/^`range` with two variables/),
      todo: expect.any(String),
    });
  });

  it.each([{ regexp: { source: '^db-(.*)$', target: '$1' } }, { regexp: { source: '-', target: '_' } }])(
    'a template reads a renamed key by its new name, after %j',
    async (step) => {
      const dataFrom = [{ extract: { key: 'a' }, rewrite: [step] }];
      const { mapping } = await withTemplate({ data: { url: 'pg://{{ .user }}' } }, { dataFrom });
      expect(mapping?.data).toBeUndefined();
      expect(mapping?.dataFrom).toMatchObject([{ key: 'a', rename: { prefix: 'source_' } }]);
      expect(mapping?.template?.data).toEqual({ url: 'pg://{{ source_user }}' });
    },
  );

  it('a template that reads several objects renames the keys of these objects, so that they do not collide with the keys that the template writes', async () => {
    const dataFrom = [{ extract: { key: 'a' } }, { extract: { key: 'b' } }];
    const { mapping } = await withTemplate({ data: { user: '{{ .user }}!' } }, { dataFrom });
    expect(mapping?.dataFrom?.map(({ rename }) => rename)).toEqual([
      { invalid: 'replace', prefix: 'source_' },
      { invalid: 'replace', prefix: 'source_' },
    ]);
    expect(mapping?.template?.data).toEqual({ user: '{{ source_user }}!' });
    // With the usual prefix `source_`, a member `user` would collide with the template's key `source_user`.
    const named = await withTemplate({ data: { source_user: '{{ .user }}!' } }, { dataFrom });
    expect(named.mapping?.dataFrom).toMatchObject([
      { rename: { prefix: 'source_source_' } },
      { rename: { prefix: 'source_source_' } },
    ]);
    expect(named.mapping?.template?.data).toEqual({ source_user: '{{ source_source_user }}!' });
  });

  it.each([
    [{ data: { a: '{{ now }}' } }, 'spec.target.template.data.a'],
    [{ data: { a: 'x{{ .nothing }}' } }, 'spec.target.template.data.a'],
    [
      { templateFrom: [{ configMap: { name: 'x', items: [] } }] },
      'spec.target.template.templateFrom[0].configMap',
    ],
    [{ engineVersion: 'v1', data: { a: '{{ .a }}' } }, 'spec.target.template.engineVersion'],
  ])(
    'a part of an ExternalSecret is reported as not convertible if it has no equivalent: %j',
    async (template, at) => {
      const { report } = await withTemplate(template);
      expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual([at]);
    },
  );
});
