import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Config } from '../../src/config/config.ts';
import { diffConfig, isEmptyDiff, type Section } from '../../src/config/diff.ts';
import { load } from './memory-fs.ts';

type Part = Record<string, unknown>;

const HEAD: Part = { apiVersion: 'secretbridge.dev/v1', instance: 'prod' };
const store = (name: string, path = `/${name}`): Part => ({ name, kind: 'files', path });
const mapping = (name: string, more: Part = {}): Part => ({
  name,
  target: { namespace: 'a', secret: name, labels: { b: '1', a: '2' } },
  data: { B: { store: 'v', key: 'b' }, A: { store: 'v', key: 'a' } },
  ...more,
});

async function configOf(...files: readonly Part[]): Promise<Config> {
  const texts = files.map((file, index) => [`/home/ann/conf/${index}.yaml`, stringify(file)]);
  const loaded = await load(Object.fromEntries(texts), 'conf');
  if (loaded.kind !== 'usable') throw new Error(loaded.problems.map(({ message }) => message).join('\n'));
  return loaded.config;
}

/** Returns a copy of the value with object members in another order. */
function shuffled(value: unknown, order: () => number): unknown {
  if (Array.isArray(value)) return value.map((item) => shuffled(item, order));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).map(([name, member]) => ({ at: order(), name, member }));
  return Object.fromEntries(
    members.sort((a, b) => a.at - b.at).map(({ name, member }) => [name, shuffled(member, order)]),
  );
}

const names = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), { minLength: 1 });
const base = [store('v')];

describe('the difference of two configurations', () => {
  it('finds no difference if the content is equal, whatever the order of members and the division into files', async () => {
    await fc.assert(
      fc.asyncProperty(
        names,
        fc.integer(),
        fc.array(fc.nat(2), { minLength: 6, maxLength: 6 }),
        async (list, seed, where) => {
          const mappings = list.map((name) => mapping(name));
          const access = list.map((name) => ({ namespaces: ['*', name], stores: ['*'], keys: ['**'] }));
          const random = fc.sample(fc.nat(), { seed, numRuns: 400 }).values();
          const order = () => random.next().value ?? 0;
          const before = await configOf({
            ...HEAD,
            stores: base,
            mappings,
            access,
            http: { listen: '127.0.0.1:1' },
          });
          const files: Part[] = [
            { ...HEAD, mappings: [], access: [] },
            { stores: base, mappings: [], access: [] },
            { mappings: [], http: { listen: '127.0.0.1:1' }, access: [] },
          ];
          for (const [index, item] of mappings.entries()) {
            const file = files[where[index] ?? 0] as { mappings: unknown[]; access: unknown[] };
            file.mappings.unshift(shuffled(item, order));
            file.access.unshift(access[index]);
          }
          const after = await configOf(...files);
          expect(isEmptyDiff(diffConfig(before, after))).toBe(true);
          expect(isEmptyDiff(diffConfig(before, before))).toBe(true);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('the configuration diff names exactly the stores and mappings that were added, removed or changed', async () => {
    const change = fc.constantFrom('same', 'added', 'removed', 'changed');
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), change), async (fates) => {
        const having = (...fate: string[]) =>
          Object.keys(fates)
            .filter((name) => fate.includes(fates[name] ?? ''))
            .sort();
        const early = having('same', 'removed', 'changed');
        const late = having('same', 'added', 'changed');
        const before = await configOf({
          ...HEAD,
          stores: [...base, ...early.map((name) => store(name))],
          mappings: early.map((name) => mapping(name)),
        });
        const after = await configOf({
          ...HEAD,
          stores: [
            ...base,
            ...late.map((name) => store(name, fates[name] === 'changed' ? '/other' : undefined)),
          ],
          mappings: late.map((name) => mapping(name, fates[name] === 'changed' ? { refresh: '7m' } : {})),
        });
        const expected = { added: having('added'), removed: having('removed'), changed: having('changed') };
        expect(diffConfig(before, after)).toEqual({
          stores: expected,
          mappings: expected,
          access: false,
          approvals: false,
          windows: false,
          policies: false,
          notify: false,
          includes: false,
          events: false,
          restart: [],
        });
        expect(diffConfig(after, before)).toEqual({
          stores: { added: expected.removed, removed: expected.added, changed: expected.changed },
          mappings: { added: expected.removed, removed: expected.added, changed: expected.changed },
          access: false,
          approvals: false,
          windows: false,
          policies: false,
          notify: false,
          includes: false,
          events: false,
          restart: [],
        });
      }),
      { numRuns: 60 },
    );
  });
});

/** The names of sections, each with a change of that section. */
const SECTIONS: readonly [Section, Part][] = [
  ['instance', { instance: 'other' }],
  ['formerInstances', { formerInstances: ['old'] }],
  ['cluster', { cluster: { kind: 'kubernetes', scope: 'names' } }],
  ['engine', { engine: { kind: 'memory', concurrency: 3 } }],
  ['audit', { audit: { store: { kind: 'sqlite', path: './state/other.db' } } }],
  ['keys', { keys: { fingerprint: [{ env: 'KEY' }] } }],
  ['http', { http: { listen: '127.0.0.1:9090' } }],
  ['log', { log: { level: 'debug' } }],
  ['brake', { brake: { share: 0.2 } }],
  ['absence', { absence: { readings: 4 } }],
  ['restarts', { restarts: { atOnce: 2 } }],
];

describe('a changed section', () => {
  it.each(SECTIONS)(
    'the configuration diff reports a changed section as the only difference: %s',
    async (name, part) => {
      const before = await configOf({ ...HEAD, stores: base, mappings: [mapping('m')] });
      const after = await configOf({ ...HEAD, ...part, stores: base, mappings: [mapping('m')] });
      expect(diffConfig(before, after)).toEqual({
        stores: { added: [], removed: [], changed: [] },
        mappings: { added: [], removed: [], changed: [] },
        access: false,
        approvals: false,
        windows: false,
        policies: false,
        notify: false,
        includes: false,
        events: false,
        restart: [name],
      });
    },
  );

  it('the configuration diff reports no difference if the new file only adds fields with their default values', async () => {
    const before = await configOf(HEAD);
    const after = await configOf({
      ...HEAD,
      engine: { kind: 'memory', concurrency: 16 },
      http: { listen: '127.0.0.1:8080' },
      brake: { share: 0.1, window: '24h' },
      restarts: { window: '5s', atOnce: 5 },
      defaults: { refresh: '5m' },
    });
    expect(isEmptyDiff(diffConfig(before, after))).toBe(true);
  });

  it('the configuration diff reports a difference if missing `access` rules become an empty list, or if the bounds of a mapping change', async () => {
    const rule = { namespaces: ['a'], stores: ['v'], keys: ['**'] };
    const [open, closed] = [
      await configOf({ ...HEAD, stores: base }),
      await configOf({ ...HEAD, stores: base, access: [] }),
    ];
    expect(diffConfig(open, closed).access).toBe(true);
    expect(diffConfig(closed, await configOf({ ...HEAD, stores: base, access: [rule] })).access).toBe(true);
    const bounded = async (key: string) => {
      const main = { ...HEAD, stores: base, include: [{ path: 't', ...rule, keys: [key] }] };
      const files = {
        '/home/ann/secretbridge.yaml': stringify(main),
        '/home/ann/t/m.yaml': stringify({ mappings: [mapping('m')] }),
      };
      const loaded = await load(files);
      if (loaded.kind !== 'usable') throw new Error('invalid');
      return loaded.config;
    };
    expect(diffConfig(await bounded('*'), await bounded('**'))).toMatchObject({
      access: false,
      approvals: false,
      windows: false,
      policies: false,
      notify: false,
      mappings: { changed: ['m'] },
      restart: [],
    });
  });

  it('applies a change of `events` to a running service', async () => {
    const withEvents = (stores: readonly string[]) =>
      configOf({
        ...HEAD,
        stores: [...base, store('a')],
        events: { webhooks: [{ name: 'ci', stores, secret: { env: 'S' } }] },
      });
    const before = await withEvents(['a']);
    expect(isEmptyDiff(diffConfig(before, await withEvents(['a'])))).toBe(true);
    const after = await configOf({ ...HEAD, stores: [...base, store('a')] });
    expect(diffConfig(before, after)).toMatchObject({ events: true, restart: [] });
    expect(isEmptyDiff(diffConfig(before, after))).toBe(false);
  });

  it('the configuration diff reports a change of `defaults` as a change of the mappings that use these defaults', async () => {
    const mappings = [mapping('own', { refresh: '9m' }), mapping('takes')];
    const before = await configOf({ ...HEAD, stores: base, mappings });
    const after = await configOf({ ...HEAD, stores: base, mappings, defaults: { refresh: '8m' } });
    expect(diffConfig(before, after).mappings).toEqual({ added: [], removed: [], changed: ['takes'] });
  });
});
