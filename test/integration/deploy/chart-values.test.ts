import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { isHook, one, refusal, render, templateOf } from './chart.ts';
import { helmRuns } from './helm-install.ts';

describe.skipIf(!helmRuns)('the values of the chart', () => {
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
      'an audit beside the volume',
      ['--set', 'config.audit.store.kind=sqlite,config.audit.store.path=./audit.db'],
      'must be below /var/lib/secretbridge/',
    ],
    ['an unknown field of the configuration', ['--set', 'config.brakes.share=1'], "'brakes' not allowed"],
    [
      'an address that no probe reaches',
      ['--set', 'config.http.listen=127.0.0.1:8080'],
      'config.http.listen',
    ],
    ['an unknown value', ['--set', 'replica=1'], "'replica' not allowed"],
  ] as const)('refuses %s', async (_, args, message) => {
    expect(await refusal(...args)).toContain(message);
  });

  it('spreads a large configuration over ConfigMaps, and a mapping stays in its own', async () => {
    const names = Array.from({ length: 4000 }, (_, index) => `mapping-${index}`);
    await using bench = await openBench();
    const place = async (list: readonly string[]) => {
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
      const places = new Map<string, string>();
      for (const { metadata, data } of maps) {
        const content = Object.values(data as Record<string, string>).join('');
        expect(content.length).toBeLessThan(1_000_000);
        for (const { name } of (JSON.parse(content) as { mappings: { name: string }[] }).mappings)
          places.set(name, metadata.name);
      }
      return { maps: maps.length, places, objects };
    };
    const before = await place(names);
    expect(before.maps).toBeGreaterThan(2);
    expect([...before.places.keys()].toSorted()).toEqual(names.toSorted());
    const [mounted] = templateOf(one(before.objects, 'Deployment')).spec.volumes;
    expect(mounted?.projected?.sources).toHaveLength(before.maps + 1);
    const after = await place(names.filter((name) => name !== 'mapping-7'));
    for (const [name, map] of after.places) expect(map).toBe(before.places.get(name));
  });
});
