import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { run } from '../sync/template/run.ts';
import { external, imported, type Mapping, places, VAULT } from './harness.ts';

const ITEM = { secretKey: 'K', remoteRef: { key: 'a', property: 'p' } };

function configMap(data: object, metadata: object = {}) {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'texts', namespace: 'apps', ...metadata },
    data,
  };
}

function withTemplate(template: object, ...more: readonly object[]) {
  return imported(VAULT, external({ data: [ITEM], refreshInterval: '1h', target: { template } }), ...more);
}

/** Renders the templates of a mapping with this value in the place of each source. */
function rendered({ template, data = {} }: Pick<Mapping, 'template' | 'data'>, value: string) {
  const values = Object.fromEntries(Object.keys(data).map((name) => [name, value]));
  return Object.fromEntries(
    Object.entries(template?.data ?? {}).map(([key, text]) => [key, run(text, values)]),
  );
}

describe('templateFrom', () => {
  it('the texts of a ConfigMap and of a literal become templates, and the template itself wins', async () => {
    const { mapping, report } = await withTemplate(
      {
        templateFrom: [
          {
            configMap: {
              name: 'texts',
              items: [{ key: 'url' }, { key: 'pairs', templateAs: 'KeysAndValues' }],
            },
          },
          { literal: 'c: "literal {{ .K }}"\nd: later\n' },
        ],
        data: { d: 'own {{ .K }}' },
      },
      configMap({
        url: 'pg://{{ .K }}@db',
        pairs: 'a: "1 {{ .K | upper }}"\nb: |\n  two\n  {{ .K }}\nport: 5432\n',
      }),
    );
    expect(mapping?.template?.only).toBe(true);
    expect(rendered(mapping ?? {}, 'x"y')).toEqual({
      url: 'pg://x"y@db',
      a: '1 X"Y',
      b: 'two\nx"y\n',
      port: '5432',
      c: 'literal x"y',
      d: 'own x"y',
    });
    expect(places(report('ExternalSecret', 'db'), 'lost')).toEqual([]);
    expect(places(report('ExternalSecret', 'db'), 'changed')).toContain(
      'spec.target.template.templateFrom[0].configMap',
    );
  });

  it('labels and annotations come from a literal too', async () => {
    const { mapping } = await withTemplate({
      templateFrom: [
        { literal: 'team: a\n', target: 'Labels' },
        { literal: 'note: "n"\n', target: 'annotations' },
      ],
      metadata: { labels: { tier: 'b' } },
    });
    expect(mapping?.target).toMatchObject({ labels: { team: 'a', tier: 'b' }, annotations: { note: 'n' } });
  });

  it('a rendered value is decoded', async () => {
    const { mapping } = await withTemplate({
      templateFrom: [{ literal: 'a: "{{ .K }}"\n', valuesDecodingStrategy: 'Base64' }],
    });
    // The template only passes the value on, so the source decodes it.
    expect(mapping?.data).toMatchObject({ a: { property: 'p', decode: 'base64' } });
  });

  const from = (more: object) => [{ templateFrom: [more] }] as const;
  it.each([
    [...from({ configMap: { name: 'other', items: [{ key: 'url' }] } }), '.configMap'],
    [...from({ configMap: { name: 'texts', items: [{ key: 'gone' }] } }), '.configMap.items[0]'],
    [...from({ secret: { name: 'texts', items: [{ key: 'url' }] } }), '.secret'],
    [...from({ literal: 'a: b', target: 'spec.x' }), '.target'],
    [...from({ literal: '{{ .K }}: x' }), '.literal'],
    [...from({ literal: '{{ range .K }}\na: b\n{{ end }}' }), '.literal'],
    [...from({ literal: 'a: |\n{{ .K | indent 2 }}' }), '.literal'],
    [...from({ literal: 'a: [b]' }), '.literal'],
    [...from({ literal: 'a: {{ .K' }), '.literal'],
    [...from({ literal: '- a' }), '.literal'],
    [...from({ literal: 'a: &x b\nc: *y' }), '.literal'],
    [...from({ literal: 'a: x{{ .K }}', valuesDecodingStrategy: 'Base64' }), '.valuesDecodingStrategy'],
    [...from({ literal: 'a: "{{ .K }}"', valuesDecodingStrategy: 'Auto' }), '.valuesDecodingStrategy'],
  ])('%j is reported as not carried over', async (template, at) => {
    const { report, mappings } = await withTemplate(template, configMap({ url: 'x' }));
    expect(mappings).toEqual([]);
    expect(places(report('ExternalSecret', 'db'), 'lost')).toContain(
      `spec.target.template.templateFrom[0]${at}`,
    );
  });

  it('a ConfigMap of another namespace does not count, and a ClusterExternalSecret has one in each namespace', async () => {
    const template = { templateFrom: [{ configMap: { name: 'texts', items: [{ key: 'url' }] } }] };
    const elsewhere = configMap({ url: 'x' }, { namespace: 'web' });
    const { report } = await withTemplate(template, elsewhere);
    expect(JSON.stringify(report('ExternalSecret', 'db'))).toContain('is not in the input');
    const spec = {
      externalSecretSpec: {
        secretStoreRef: { name: 'vault', kind: 'ClusterSecretStore' },
        data: [ITEM],
        target: { template },
      },
      namespaces: ['apps', 'web'],
    };
    const cluster = {
      ...{ apiVersion: 'external-secrets.io/v1', kind: 'ClusterExternalSecret', metadata: { name: 'all' } },
      spec,
    };
    const all = await imported(VAULT, cluster, elsewhere);
    expect(JSON.stringify(all.report('ClusterExternalSecret', 'all'))).toContain(
      'each namespace has a ConfigMap',
    );
  });
});

describe('queries in a property', () => {
  const query = { secretKey: 'Q', remoteRef: { key: 'a', property: 'list.#(n=="b").v' } };

  it('a query becomes a template beside the other keys', async () => {
    const { mapping } = await imported(VAULT, external({ data: [ITEM, query], refreshInterval: '1h' }));
    expect(mapping?.data).toEqual({
      source_K: { store: 'vault', key: 'a', property: 'p' },
      source_Q: { store: 'vault', key: 'a' },
    });
    const value = JSON.stringify({
      list: [
        { n: 'a', v: 1 },
        { n: 'b', v: 2 },
      ],
    });
    expect(rendered(mapping ?? {}, value)).toEqual({ K: value, Q: '2' });
    expect(mapping?.template?.only).toBe(true);
  });

  it.each([
    ['a template', { target: { template: { data: { U: 'x{{ .Q }}' } } } }],
    ['a source of many keys', { dataFrom: [{ extract: { key: 'b' } }] }],
    [
      'a decoded value',
      { data: [{ ...query, remoteRef: { ...query.remoteRef, decodingStrategy: 'Base64' } }] },
    ],
  ])('a query beside %s is reported as not carried over', async (_, more) => {
    const { report, mappings } = await imported(VAULT, external({ data: [query], ...more }));
    expect(mappings).toEqual([]);
    expect(places(report('ExternalSecret', 'db'), 'lost')).toContain('spec.data[0].remoteRef.property');
  });
});

describe('sync windows', () => {
  const windows = (...list: readonly object[]) => ({ syncWindows: { kind: 'allow', windows: list } });
  const importWindows = async (spec: object) => {
    const { result } = await imported(VAULT, external({ data: [ITEM], refreshInterval: '1h', ...spec }));
    return result;
  };

  it('become windows of the mapping', async () => {
    const { config } = await importWindows(
      windows({ schedule: '0 22 * * 1-5', duration: '90m' }, { schedule: '@daily', duration: '4h' }),
    );
    expect(parse(config)).toMatchObject({
      windows: [
        { namespaces: ['apps'], mappings: ['apps.db'], allow: '0 22 * * 1-5', for: '1h30m', timeZone: 'UTC' },
        { namespaces: ['apps'], mappings: ['apps.db'], allow: '0 0 * * *', for: '4h', timeZone: 'UTC' },
      ],
    });
  });

  it.each([
    [windows({ schedule: '@every 1h', duration: '4h' })],
    [windows({ schedule: '0 0 31 2 *', duration: '4h' })],
    [windows({ schedule: '0 0 * * *', duration: '1s' })],
    [windows({ schedule: '0 0 * * *', duration: '1000h' })],
    [{ syncWindows: { kind: 'deny', windows: [{ schedule: '0 0 * * *', duration: '4h' }] } }],
  ])('%j has no window, and the report says so', async (spec) => {
    const { config, objects } = await importWindows(spec);
    expect(parse(config)).not.toHaveProperty('windows');
    expect(JSON.stringify(objects)).toContain('rite the times as `windows`');
  });

  it('a mapping that is not active has no windows', async () => {
    const { config } = await importWindows({
      ...windows({ schedule: '@daily', duration: '4h' }),
      target: { creationPolicy: 'None' },
    });
    expect(parse(config)).not.toHaveProperty('windows');
  });
});
