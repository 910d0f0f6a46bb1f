import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { EXTERNAL_SECRETS } from '../../src/import/external-secrets/tool.ts';
import { importObjects } from '../../src/import/import.ts';
import { readObjects } from '../../src/import/objects.ts';
import { configText } from '../../src/import/result.ts';
import { createNames } from '../../src/import/store.ts';
import { importVerified } from '../../src/import/verified.ts';
import { external, imported, places, VAULT } from './harness.ts';

const one = { data: [{ secretKey: 'K', remoteRef: { key: 'a', property: 'p' } }] };
const OPTIONS = { instance: 'prod', ownNamespace: 'secretbridge' };

function cluster(spec: object, more: object = {}) {
  return {
    apiVersion: 'external-secrets.io/v1',
    kind: 'ClusterExternalSecret',
    metadata: { name: 'all' },
    spec,
    ...more,
  };
}

const inner = { secretStoreRef: { name: 'vault', kind: 'ClusterSecretStore' }, ...one };

describe('a ClusterExternalSecret', () => {
  it.each([
    [
      { namespaceSelector: { matchLabels: { team: 'a' } } },
      { namespaceSelector: { matchLabels: { team: 'a' } } },
    ],
    [
      { namespaceSelectors: [{ matchLabels: { team: 'a' } }] },
      { namespaceSelector: { matchLabels: { team: 'a' } } },
    ],
    [
      { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } },
      { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } },
    ],
    [{ namespaces: ['b', 'a'] }, { namespaces: ['a', 'b'] }],
    [{ namespaceSelectors: [{ matchLabels: { 'kubernetes.io/metadata.name': 'a' } }] }, { namespace: 'a' }],
    [
      { namespaceSelectors: [{ matchLabels: { team: 'a' } }, { matchLabels: { team: 'b' } }] },
      { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['a', 'b'] }] } },
    ],
  ])(
    'a ClusterExternalSecret becomes a mapping that selects the target namespaces with %j',
    async (where, target) => {
      const { mapping } = await imported(
        VAULT,
        cluster({ externalSecretSpec: inner, externalSecretName: 'db', ...where }),
      );
      expect(mapping).toMatchObject({ name: 'all', target: { ...target, secret: 'db' } });
    },
  );

  it('a ClusterExternalSecret with several selectors and names becomes mappings that never select the same namespace', async () => {
    const where = {
      namespaces: ['x'],
      namespaceSelectors: [{ matchLabels: { team: 'a' } }, { matchLabels: { stage: 'p' } }],
    };
    const { mappings, report } = await imported(VAULT, cluster({ externalSecretSpec: inner, ...where }));
    expect(mappings.map(({ name, target }) => [name, target.namespace ?? target.namespaceSelector])).toEqual([
      ['all', 'x'],
      [
        'all.2',
        {
          matchLabels: { team: 'a' },
          matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['x'] }],
        },
      ],
      [
        'all.3',
        {
          matchLabels: { stage: 'p' },
          matchExpressions: [
            { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['x'] },
            { key: 'team', operator: 'NotIn', values: ['a'] },
          ],
        },
      ],
    ]);
    expect(report('ClusterExternalSecret', 'all')).toMatchObject({ outcome: 'changed' });
  });

  it('a ClusterExternalSecret whose selectors have no equivalent is imported for its current namespaces, or reported as not converted', async () => {
    const spec = { externalSecretSpec: inner, namespaceSelectors: [{}, { matchLabels: { a: 'b' } }] };
    const now = await imported(VAULT, cluster(spec, { status: { provisionedNamespaces: ['x', 'y'] } }));
    expect(now.mapping?.target).toMatchObject({ namespaces: ['x', 'y'] });
    const unknown = await imported(VAULT, cluster(spec));
    expect(places(unknown.report('ClusterExternalSecret', 'all'), 'lost')).toEqual([
      'spec.namespaceSelectors[0]',
    ]);
  });

  it('a ClusterExternalSecret is imported in place of the ExternalSecrets that it created', async () => {
    const ownerReferences = [{ kind: 'ClusterExternalSecret', name: 'all' }];
    const made = external(one, { name: 'all', namespace: 'a', ownerReferences });
    const { result, mappings } = await imported(
      VAULT,
      cluster({ externalSecretSpec: inner, namespaces: ['a'] }),
      made,
    );
    expect(mappings.map(({ name }) => name)).toEqual(['all']);
    expect(result.summary.skipped).toBe(1);
  });

  it('a ClusterExternalSecret becomes one mapping for each namespace if each namespace has its own store', async () => {
    const local = (namespace: string) => ({
      ...VAULT,
      kind: 'SecretStore',
      metadata: { name: 'vault', namespace },
    });
    const spec = {
      externalSecretSpec: { secretStoreRef: { name: 'vault' }, ...one },
      namespaces: ['a', 'b'],
    };
    const { mappings } = await imported(local('a'), local('b'), cluster(spec));
    expect(mappings.map(({ name, data }) => [name, data?.K?.store])).toEqual([
      ['a.all', 'a.vault'],
      ['b.all', 'b.vault'],
    ]);
  });
});

describe('the input', () => {
  it('the input can be several YAML documents, JSON, and nested lists', () => {
    const list = { apiVersion: 'v1', kind: 'List', items: [VAULT, { kind: 'List', items: [external(one)] }] };
    const texts = [
      {
        name: 'a',
        text: `---\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }\n---\n${JSON.stringify(VAULT)}`,
      },
      { name: 'b', text: JSON.stringify({ ...list, items: list.items.slice(1) }) },
    ];
    const { toolObjects, unreadable } = readObjects(texts, 'default', EXTERNAL_SECRETS.api);
    expect(toolObjects.map(({ kind }) => kind)).toEqual(['ClusterSecretStore', 'ExternalSecret']);
    expect(unreadable).toEqual([]);
  });

  it('the input can have anchors, aliases and merge keys', async () => {
    const text = `apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: { name: db, namespace: apps }
spec:
  secretStoreRef: { name: vault, kind: ClusterSecretStore }
  data:
    - { secretKey: A, remoteRef: &ref { key: app/db, property: a } }
    - secretKey: B
      remoteRef:
        <<: *ref
        property: b
    - { secretKey: C, remoteRef: *ref }
`;
    const texts = [
      { name: 'store.json', text: JSON.stringify(VAULT) },
      { name: 'db.yaml', text },
    ];
    const { result } = await importVerified(
      EXTERNAL_SECRETS,
      readObjects(texts, 'default', EXTERNAL_SECRETS.api),
      OPTIONS,
    );
    const [mapping] = parse(result.config).mappings;
    const at = (property: string) => ({ store: 'vault', key: 'app/db', property });
    expect(mapping.data).toEqual({ A: at('a'), B: at('b'), C: at('a') });
  });

  it.each([
    ['a: { <<: 5 }', 'merges (`<<`) a value that is not an object'],
    ['a: { <<: *nobody }', 'merges (`<<`) a value that is not an object'],
    ['a: *nobody', 'has an alias without an earlier anchor'],
    [
      `a: &a [${'x,'.repeat(20)}]\nb: &b [${'*a,'.repeat(20)}]\nc: [${'*b,'.repeat(20)}]`,
      'has too many aliases',
    ],
  ])('the input is reported if it has alias errors (%s)', (text, what) => {
    expect(readObjects([{ name: 'x.yaml', text }], 'default', EXTERNAL_SECRETS.api).unreadable).toEqual([
      `x.yaml ${what}`,
    ]);
  });

  it('the report names the line but does not quote the text if the input is not YAML', () => {
    const { unreadable } = readObjects(
      [{ name: 'x.yaml', text: 'a: "hunter2\nb: [' }],
      'default',
      EXTERNAL_SECRETS.api,
    );
    expect(unreadable).toHaveLength(1);
    expect(unreadable.join()).toMatch(/^x\.yaml:\d+ is not valid YAML or JSON$/);
  });

  it.each([
    ['name: {{ .Release.Name }}', /^"ExternalSecret": an object without a name\. .*`helm template`$/],
    ['generateName: db-', /^"ExternalSecret": an object without a name\. /],
    ['name: {{ .Release.Name }}-db', /^chart\.yaml:\d+ is not valid YAML or JSON\. .*`helm template`$/],
  ])('the input is reported as unreadable if it comes from an unrendered chart with `%s`', (name, line) => {
    const text = `apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata:\n  ${name}\n`;
    const { toolObjects, unreadable } = readObjects(
      [{ name: 'chart.yaml', text }],
      'default',
      EXTERNAL_SECRETS.api,
    );
    expect(toolObjects).toEqual([]);
    expect(unreadable).toEqual([expect.stringMatching(line)]);
  });

  it('the input can contain duplicate objects, and the report lists only duplicates that differ', () => {
    const other = external({ data: [] });
    const { secretStoreRef } = other.spec;
    const text = (...objects: object[]) => objects.map((object) => JSON.stringify(object)).join('\n---\n');
    const texts = [
      { name: 'a.yaml', text: text(VAULT, external(one)) },
      // The API server returns members in alphabetical order.
      { name: 'b.yaml', text: text(VAULT, { ...external(one), spec: { ...one, secretStoreRef } }) },
      { name: 'c.yaml', text: text(other, VAULT, { kind: 'List', items: [other] }) },
    ];
    const same = readObjects(texts.slice(0, 2), 'default', EXTERNAL_SECRETS.api);
    expect(same.toolObjects.map(({ kind }) => kind)).toEqual(['ClusterSecretStore', 'ExternalSecret']);
    expect(same.unreadable).toEqual([]);
    expect(readObjects(texts, 'default', EXTERNAL_SECRETS.api).unreadable).toEqual([
      'ExternalSecret apps/db occurs several times: the first one, in a.yaml:3, counts; c.yaml:1, c.yaml:5 differ',
    ]);
  });

  it('the report lists an invalid object name in the input, and the name cannot add lines to the report', async () => {
    const texts = [
      VAULT,
      external(
        { ...one, target: { manifest: {} } },
        { name: 'a\nmappings: [{ name: evil }]\u2028x: \u0085y' },
      ),
      external(one, { namespace: 'apps\r\nstores: []' }),
      { ...VAULT, metadata: { name: 'x'.repeat(1_000) } },
      external(one),
    ].map((object) => ({ name: 'in.json', text: JSON.stringify(object) }));
    const objects = readObjects(texts, 'default', EXTERNAL_SECRETS.api);
    expect(objects.toolObjects.map(({ name }) => name)).toEqual(['vault', 'db']);
    expect(objects.unreadable).toHaveLength(3);
    for (const line of objects.unreadable) {
      expect(line).toMatch(/^"[^\r\n]{1,500}": not a valid object name$/);
    }
    const { result, problems } = await importVerified(EXTERNAL_SECRETS, objects, OPTIONS);
    expect(problems).toEqual([]);
    expect(result.needsPerson).toBe(true);
    expect(result.config).not.toContain('evil');
  });

  it('an inactive mapping becomes a comment in the output, even if its text contains line breaks', () => {
    const breaks = ['\n', '\r\n', '\r', '\u0085', '\u2028', '\u2029'];
    const text = breaks.map((sign) => `${sign}evil: true`).join('');
    const config = configText({
      command: 'external-secrets',
      instance: 'prod',
      stores: [],
      mappings: [],
      access: undefined,
      drafts: [{ of: `ExternalSecret ${text}`, mapping: { name: 'a', data: { [text]: text } } }],
    });
    for (const line of config.split(/[\r\n\u0085\u2028\u2029]/)) expect(line).not.toMatch(/^\s*evil/);
    expect(parse(config)).toEqual({ apiVersion: 'secretbridge.dev/v1', instance: 'prod' });
  });

  it('an object is imported with the same result in both API versions', async () => {
    const objects = [
      VAULT,
      { ...VAULT, kind: 'SecretStore', metadata: { name: 'own', namespace: 'apps' } },
      external({
        ...one,
        target: { creationPolicy: 'Orphan', template: { data: { u: '{{ .K | upper }}' } } },
      }),
      external(
        { secretStoreRef: { name: 'own' }, dataFrom: [{ extract: { key: 'a' } }] },
        { name: 'second' },
      ),
      cluster({ externalSecretSpec: inner, namespaces: ['a', 'b'] }),
    ];
    const now = await imported(...objects);
    const before = await imported(
      ...objects.map((object) => ({ ...object, apiVersion: 'external-secrets.io/v1beta1' })),
    );
    expect(before.result).toEqual(now.result);
    expect(now.mappings).toHaveLength(3);
    expect(now.stores).toHaveLength(2);
  });

  it('the import reports objects of unsupported kinds and versions of the API group as not converted', () => {
    const text = JSON.stringify({
      apiVersion: 'external-secrets.io/v1alpha1',
      kind: 'PushSecret',
      metadata: { name: 'p', namespace: 'a' },
    });
    const { others } = readObjects([{ name: 'x', text }], 'default', EXTERNAL_SECRETS.api);
    expect(others).toEqual([
      { kind: 'PushSecret (external-secrets.io/v1alpha1)', namespace: 'a', name: 'p' },
    ]);
  });

  it('the import reports an ExternalSecret of the predecessor project as not converted, because its fields are different', () => {
    const text = JSON.stringify({
      apiVersion: 'kubernetes-client.io/v1',
      kind: 'ExternalSecret',
      metadata: { name: 'db' },
      spec: { backendType: 'secretsManager', data: [{ key: 'prod/db', name: 'password' }] },
    });
    const objects = readObjects([{ name: 'x', text }], 'default', EXTERNAL_SECRETS.api);
    expect(objects.toolObjects).toEqual([]);
    expect(objects.others).toEqual([{ kind: 'ExternalSecret (kubernetes-client.io/v1)', name: 'db' }]);
    expect(importObjects(EXTERNAL_SECRETS, objects, OPTIONS).needsPerson).toBe(true);
  });

  it('the import gives the same output for any order of the objects', () => {
    const objects = [
      VAULT,
      { ...VAULT, kind: 'SecretStore', metadata: { name: 'vault', namespace: 'apps' } },
      ...['a', 'b', 'c', 'd'].map((name) => external(one, { name, namespace: 'apps' })),
    ];
    const run = (order: readonly object[]) =>
      importObjects(
        EXTERNAL_SECRETS,
        readObjects(
          order.map((object) => ({ name: 'x', text: JSON.stringify(object) })),
          'default',
          EXTERNAL_SECRETS.api,
        ),
        OPTIONS,
      );
    const expected = run(objects);
    fc.assert(
      fc.property(fc.shuffledSubarray(objects, { minLength: objects.length }), (order) => {
        expect(run(order)).toEqual(expected);
      }),
      { numRuns: 30 },
    );
  });
});

describe('names', () => {
  it('the names of stores and mappings are valid, unique, and the same in every import', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 300 }), { maxLength: 20 }),
        (wanted) => {
          const make = () => {
            const names = createNames();
            return wanted.map((name) => names.take(name, name));
          };
          const made = make();
          for (const name of made) expect(name).toMatch(/^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/);
          expect(new Set(made).size).toBe(made.length);
          expect(make()).toEqual(made);
        },
      ),
    );
  });
});
