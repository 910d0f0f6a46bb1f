import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import { CHART, findOne, helm, isHook, render, renderError, templateOf } from './chart.ts';

describe.skipIf(!isHelmAvailable)(`the chart${HELM_NOTE}`, () => {
  it.each([
    ['more than one replica on SQLite', ['--set', 'replicas=2'], 'replicas: more than one needs'],
    [
      'PostgreSQL without a key',
      ['--set-json', 'config={"audit":{"store":{"kind":"postgres","url":{"env":"A"}}}}'],
      'config.keys.fingerprint is required',
    ],
    [
      'a bundled Redis without a password',
      ['--set', 'redis.bundled.enabled=true', '--set-json', 'config.keys={"fingerprint":[{"env":"A"}]}'],
      'redis.bundled.passwordSecret.name',
    ],
    [
      'an audit outside the volume',
      ['--set', 'config.audit.store.kind=sqlite,config.audit.store.path=./audit.db'],
      'must be below /var/lib/secretbridge/',
    ],
    ['an unknown field of the configuration', ['--set', 'config.brakes.share=1'], "'brakes' not allowed"],
    [
      'an address that probes cannot reach',
      ['--set', 'config.http.listen=127.0.0.1:8080'],
      'config.http.listen',
    ],
    ['an unknown value', ['--set', 'replica=1'], "'replica' not allowed"],
    [
      'replicas on Redis without PostgreSQL',
      ['--set', 'replicas=2,config.engine.kind=redis,config.engine.url.env=A'],
      'replicas: more than one needs config.engine.kind: redis and config.audit.store.kind: postgres',
    ],
    [
      'replicas on PostgreSQL without Redis',
      [
        ...['--set', 'replicas=2,config.audit.store.kind=postgres,config.audit.store.url.env=A'],
        ...['--set', 'config.keys.fingerprint[0].env=A'],
      ],
      'replicas: more than one needs',
    ],
    [
      'a relative path of the archive',
      ['--set', 'config.audit.archive.path=./archive'],
      './archive is relative to the mounted configuration',
    ],
    [
      'a relative path of a key',
      ['--set', 'config.keys.checkpoint.file=state/checkpoint.key'],
      'state/checkpoint.key is relative to the mounted configuration',
    ],
    ['a variable whose value is not text', ['--set', 'env[0].name=A,env[0].value=5'], '/env/0/value'],
    ['an Ingress without a host', ['--set', 'ingress.enabled=true'], 'ingress.host is required'],
    ['an unknown value of `check.doctor`', ['--set', 'check.doctor=maybe'], 'check/doctor'],
    [
      'a NetworkPolicy host whose value is not a list',
      ['--set', 'networkPolicy.hosts.vault=10.0.0.0/8'],
      'networkPolicy/hosts/vault',
    ],
  ] as const)('rejects %s', async (_, args, message) => {
    expect(await renderError(...args)).toContain(message);
  });

  it.each([
    ['config.defaults.refersh=5m', "'refersh'"],
    ['config.stores[0].kind=valut', 'config/stores/0'],
    ['config.mappings[0].target.namspace=a', "'namspace'"],
    ['config.defaults.onDrift=fix', 'config/defaults/onDrift'],
  ])('rejects %s in `helm lint`', async (mistake, message) => {
    await expect(helm('lint', CHART, '--set', mistake)).rejects.toMatchObject({
      stdout: expect.stringContaining(message),
    });
  });

  it('accepts environment variables with null fields', async () => {
    const env = [
      { name: 'A', value: 'a', valueFrom: null },
      { name: 'B', value: null, valueFrom: { secretKeyRef: { name: 's', key: 'b' } } },
    ];
    const objects = await render('--set-json', `env=${JSON.stringify(env)}`);
    expect(templateOf(findOne(objects, 'Deployment')).spec.containers[0]).toMatchObject({ env });
  });

  it('spreads a large configuration over several ConfigMaps, and keeps each mapping whole', async () => {
    const names = Array.from({ length: 4000 }, (_, index) => `mapping-${index}`);
    await using bench = await openBench();
    const renderMappings = async (list: readonly string[]) => {
      const mappings = list.map((name) => ({
        name,
        target: { namespace: 'chart-a', annotations: { note: 'x'.repeat(200) } },
        data: { KEY: { store: 'team', key: 'a' } },
      }));
      const store = {
        name: 'team',
        kind: 'vault',
        address: 'https://v',
        auth: { method: 'kubernetes', role: 'b' },
      };
      const path = join(bench.folder, 'values.yaml');
      await writeFile(path, stringify({ config: { stores: [store], mappings } }));
      const objects = await render('--values', path);
      const maps = objects.filter(
        ({ kind, metadata }) => kind === 'ConfigMap' && /-mappings-/.test(metadata.name) && !isHook(metadata),
      );
      const mapOfMapping = new Map<string, string>();
      for (const { metadata, data } of maps) {
        const content = Object.values(data as Record<string, string>).join('');
        expect(content.length).toBeLessThan(1_000_000);
        for (const { name } of (JSON.parse(content) as { mappings: { name: string }[] }).mappings)
          mapOfMapping.set(name, metadata.name);
      }
      return { maps: maps.length, places: mapOfMapping, objects };
    };
    const before = await renderMappings(names);
    expect(before.maps).toBeGreaterThan(2);
    expect([...before.places.keys()].toSorted()).toEqual(names.toSorted());
    const [mounted] = templateOf(findOne(before.objects, 'Deployment')).spec.volumes;
    expect(mounted?.projected?.sources).toHaveLength(before.maps + 1);
    const after = await renderMappings(names.filter((name) => name !== 'mapping-7'));
    for (const [name, map] of after.places) expect(map).toBe(before.places.get(name));
  });
});
