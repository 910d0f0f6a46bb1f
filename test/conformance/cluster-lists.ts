import { describe, expect, it } from 'vitest';
import { type ClusterHarness, change, manifest, mergeManifest, readNow } from './cluster-harness.ts';

const LABEL = { name: 'secretbridge.dev/instance', value: 'test' } as const;

/** Registers tests for a cluster whose identity may list Secrets and namespaces. */
export function describeLists(name: string, open: () => Promise<ClusterHarness>): void {
  describe(`${name}: lists`, () => {
    const app = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'app' });
    const foreign = (h: ClusterHarness) => ({ namespace: h.namespace, secret: 'foreign' });
    const namesIn = async (h: ClusterHarness) =>
      (await h.cluster.list(h.namespace, LABEL)).map(({ id }) => id.secret);

    it('lists the Secrets with a label, and returns the same content as a read of each Secret', async () => {
      await using h = await open();
      const names = ['app', 'app-1', 'app.b', 'tls.example.com'];
      const ids = names.map((secret) => ({ namespace: h.namespace, secret }));
      for (const id of ids.toReversed()) await h.cluster.create(id, manifest());
      await h.put(foreign(h), { metadata: { labels: { [LABEL.name]: 'another' } }, data: {} });
      const listed = await h.cluster.list(h.namespace, LABEL);
      expect(listed.map(({ id }) => id.secret)).toEqual(['app', 'app-1', 'app.b', 'tls.example.com']);
      expect(listed).toEqual(await Promise.all(ids.map((id) => readNow(h.cluster, id))));
    });

    it('lists nothing if no Secret has the label', async () => {
      await using h = await open();
      expect(await namesIn(h)).toEqual([]);
    });

    it('a listed Secret can be replaced, merged into and removed without a further read', async () => {
      await using h = await open();
      await h.cluster.create(app(h), manifest());
      await h.cluster.create(foreign(h), manifest());
      const [one, two] = await h.cluster.list(h.namespace, LABEL);
      if (one === undefined || two === undefined) throw new Error('both should be listed');
      expect(h.cluster.mergedKeys(two, 'secretbridge.test.app')).toEqual([]);
      expect((await h.cluster.merge(two, mergeManifest({ ours: '1' }))).kind).toBe('written');
      expect((await h.cluster.replace(one, change({ labels: { other: '1' } }))).kind).toBe('written');
      expect(await h.cluster.remove(one)).toEqual({ kind: 'conflict' });
      const [fresh] = await h.cluster.list(h.namespace, LABEL);
      expect(fresh && (await h.cluster.remove(fresh))).toEqual({ kind: 'removed' });
      expect(await namesIn(h)).toEqual(['foreign']);
    });

    it.each([
      ['a,b', 'test'],
      ['!a', 'test'],
      ['a', 'b,c'],
      ['a', 'b)'],
      ['', ''],
    ])('rejects the label %j=%j, because its selector would match too many objects', async (label, value) => {
      await using h = await open();
      const error = { code: 'CONFIG_INVALID' };
      await expect(h.cluster.list(h.namespace, { name: label, value })).rejects.toMatchObject(error);
      await expect(h.cluster.namespaces({ matchLabels: { [label]: value } })).rejects.toMatchObject(error);
      await expect(h.cluster.list('..', LABEL)).rejects.toMatchObject(error);
    });

    it('returns the namespaces that a selector with labels and expressions matches, also by the label with the name', async () => {
      await using h = await open();
      const name = { 'kubernetes.io/metadata.name': h.namespace };
      await h.put(foreign(h), { data: {} });
      await h.label({ team: h.namespace, tier: 'web' });
      expect(await h.cluster.namespaces({ matchLabels: { team: h.namespace } })).toEqual([h.namespace]);
      expect(
        await h.cluster.namespaces({ matchLabels: { team: h.namespace, tier: 'web', ...name } }),
      ).toEqual([h.namespace]);
      expect(await h.cluster.namespaces({ matchLabels: { team: h.namespace, tier: 'db' } })).toEqual([]);
      expect(await h.cluster.namespaces({ matchLabels: name })).toEqual([h.namespace]);
      for (const [key, operator, values, isSelected] of [
        ['tier', 'In', ['db', 'web'], true],
        ['tier', 'In', ['db'], false],
        ['tier', 'NotIn', ['db'], true],
        ['tier', 'NotIn', ['web'], false],
        ['other', 'NotIn', ['web'], true],
        ['tier', 'Exists', [], true],
        ['other', 'Exists', [], false],
        ['tier', 'DoesNotExist', [], false],
        ['other', 'DoesNotExist', [], true],
      ] as const) {
        const selector = { matchLabels: name, matchExpressions: [{ key, operator, values }] };
        expect([selector, await h.cluster.namespaces(selector)]).toEqual([
          selector,
          isSelected ? [h.namespace] : [],
        ]);
      }
      await h.label({ team: 'another' });
      expect(await h.cluster.namespaces({ matchLabels: { team: h.namespace } })).toEqual([]);
    });
  });
}
