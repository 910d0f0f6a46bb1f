import { describe, expect, it } from 'vitest';
import type { LoadResult } from '../../src/config/check-documents.ts';
import type { Config } from '../../src/config/config.ts';
import { createParsedFiles } from '../../src/config/files/parsing.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createAccess } from '../../src/config/shape/access.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import { linesOf, load, memoryFs, VALID } from './memory-fs.ts';

const MAIN = '/home/ann/secretbridge.yaml';
const INCLUDE = "{ path: teams/a, namespaces: [a, 'a-*'], stores: [team-vault], keys: ['a/**'] }";
const main = (...includes: readonly string[]) =>
  `${VALID}include:\n${includes.map((entry) => `  - ${entry}\n`).join('')}`;

/** Returns a mapping of team A. `source` is the content of `data`, or a list for `dataFrom`. */
function mapping(
  name: string,
  { target = 'namespace: a', source = 'A: { store: team-vault, key: a/db }' } = {},
): string {
  const sources = source.startsWith('[') ? `dataFrom: ${source}` : `data: { ${source} }`;
  return `mappings:\n  - name: ${name}\n    target: { ${target} }\n    ${sources}\n`;
}

function disabledIn(loaded: LoadResult): readonly string[] | undefined {
  if (loaded.kind !== 'usable') return undefined;
  return loaded.config.includes.filter(({ state }) => state === 'disabled').map(({ path }) => path);
}

function mappingNamed(name: string, { mappings }: Config): Mapping {
  return mappings.find((mapping) => mapping.name === name) ?? expect.unreachable();
}

function withTenant(text: string) {
  return load({ [MAIN]: main(INCLUDE), '/home/ann/teams/a/one.yaml': text });
}

describe('an included file', () => {
  it('adds the mappings of an included file, to which the defaults of the main file apply', async () => {
    const loaded = await load({
      [MAIN]: `${main(INCLUDE)}defaults: { refresh: 7m }\n`,
      '/home/ann/teams/a/one.yaml': `apiVersion: secretbridge.dev/v1\n${mapping('one')}`,
      '/home/ann/teams/a/two.yml': mapping('two', { target: 'namespace: a-x' }),
      '/home/ann/teams/a/.hidden.yaml': 'stores: []',
      '/home/ann/teams/a/notes.txt': 'no yaml',
    });
    expect(linesOf(loaded)).toEqual([]);
    if (loaded.kind !== 'usable') return expect.unreachable();
    expect(loaded.config.mappings.map(({ name, refreshMs }) => [name, refreshMs])).toEqual([
      ['payments-db', 420_000],
      ['one', 420_000],
      ['two', 420_000],
    ]);
    expect([...loaded.config.bounds.keys()]).toEqual(['one', 'two']);
  });

  it('finds an included file by an absolute path, or by a path relative to the including file', async () => {
    const tenant = mapping('one');
    const relative = await load(
      { '/etc/sb/conf/main.yaml': main(INCLUDE), '/etc/sb/conf/teams/a/one.yaml': tenant },
      '/etc/sb/conf',
    );
    expect(linesOf(relative)).toEqual([]);
    const whole = await load({
      [MAIN]: main(INCLUDE.replace('teams/a', '/srv/a.yaml')),
      '/srv/a.yaml': tenant,
    });
    expect(linesOf(whole)).toEqual([]);
    expect(whole.kind === 'usable' && whole.config.includes[0]?.path).toBe('/srv/a.yaml');
  });

  it('accepts a main file without mappings if an included file contains all mappings', async () => {
    const noMappings = main(INCLUDE).replace(/mappings:[\s\S]*?(?=include:)/, '');
    const loaded = await load({ [MAIN]: noMappings, '/home/ann/teams/a/one.yaml': mapping('one') });
    expect(linesOf(loaded)).toEqual([]);
    expect(loaded.kind === 'usable' && loaded.config.mappings).toHaveLength(1);
  });

  it.each([
    ['stores: []', '1:1 stores', '`stores`'],
    ['include: []', '1:1 include', '`include`'],
    ['access: []', '1:1 access', '`access`'],
    ['instance: x', '1:1 instance', '`instance`'],
    ['defaults: {}', '1:1 defaults', '`defaults`'],
    ['x: 1', '1:1 x', '`x`'],
  ])('disables only the included file if it contains %s', async (text, at, name) => {
    const loaded = await withTenant(`${text}\n${mapping('one')}`);
    expect(disabledIn(loaded)).toEqual(['teams/a/one.yaml']);
    expect(linesOf(loaded)).toEqual([
      `${at} CONFIG_INVALID: an included file may contain only \`mappings\`, not ${name}`,
    ]);
    expect(loaded.problems[0]?.file).toBe('teams/a/one.yaml');
  });

  it.each([
    ['apiVersion: secretbridge.dev/v2', '1:13 apiVersion CONFIG_INVALID: expected `secretbridge.dev/v1`'],
    ['mappings: {}', '1:11 mappings CONFIG_INVALID: expected a list'],
    ['- 1', '1:1  CONFIG_INVALID: expected an object with `mappings`'],
    ['mappings: [1', 'CONFIG_INVALID'],
  ])('disables an included file with %s', async (text, line) => {
    const loaded = await withTenant(text);
    expect(disabledIn(loaded)).toEqual(['teams/a/one.yaml']);
    expect(linesOf(loaded).join()).toContain(line);
  });

  it('disables only the `include` if its path does not exist', async () => {
    const loaded = await load({ [MAIN]: main(INCLUDE) });
    expect(disabledIn(loaded)).toEqual(['teams/a']);
    expect(loaded.problems.map(({ file }) => file)).toEqual(['secretbridge.yaml']);
    expect(linesOf(loaded)).toEqual([
      '15:13 include[0].path CONFIG_INVALID: `teams/a`: no such file or folder',
    ]);
  });

  it('the loader reports problems in all readable files even if an included file is missing or unreadable', async () => {
    const other = INCLUDE.replace('teams/a', 'teams/b');
    const wrong = main(INCLUDE, other).replace('{ store: team-vault, key', '{ store: team-valt, key');
    const loaded = await load({ [MAIN]: wrong, '/home/ann/teams/b/one.yaml': 'mappings: [' });
    expect(loaded.problems.map(({ file, path }) => [file, path])).toEqual([
      ['secretbridge.yaml', 'mappings[0].data.DB_PASSWORD.store'],
      ['secretbridge.yaml', 'include[0].path'],
      ['teams/b/one.yaml', ''],
    ]);
  });

  it('the loader reports no false problems if an included file has an unresolved YAML alias', async () => {
    const lines = async (text: string) => linesOf(await withTenant(text));
    expect(await lines('mappings: *all\n')).toHaveLength(1);
    expect(await lines('*all\n')).toHaveLength(1);
    expect(await lines(`<<: *all\n${mapping('one')}`)).toHaveLength(1);
  });

  it('rejects an included file that --config also names, because no bounds apply to a file that --config names', async () => {
    const loaded = await load(
      {
        '/home/ann/c/main.yaml': main(INCLUDE.replace('teams/a', 'tenant.yaml')),
        '/home/ann/c/tenant.yaml': mapping('one'),
      },
      'c',
    );
    expect(loaded.kind).toBe('invalid');
    expect(linesOf(loaded).join()).toContain(
      '`c/tenant.yaml` is read twice: also as a main file, without bounds',
    );
  });

  it('rejects a file that is included twice', async () => {
    const loaded = await load({
      [MAIN]: main(INCLUDE, INCLUDE),
      '/home/ann/teams/a/one.yaml': mapping('one'),
    });
    expect(linesOf(loaded)).toEqual([
      '16:13 include[1].path CONFIG_INVALID: `teams/a/one.yaml` is read twice: also by the `include` at secretbridge.yaml:15:13',
    ]);
  });

  it('keeps the mappings of a file that is included twice once, also after a reload', async () => {
    const files = { [MAIN]: main(INCLUDE, INCLUDE), '/home/ann/teams/a/one.yaml': mapping('one') };
    const options = { paths: [], env: {}, cwd: '/home/ann', readFs: memoryFs(files) };
    const parsed = createParsedFiles();
    const first = await loadConfig({ ...options, parsed });
    if (first.kind !== 'usable') return expect.unreachable();
    const { inForce, config } = first;
    const again = await loadConfig({ ...options, parsed, inForce, mappings: config.mappings });
    if (again.kind !== 'usable') return expect.unreachable();
    expect(again.config.mappings).toEqual(config.mappings);
    expect(again.config.includes).toEqual(config.includes);
    expect(again.config.includes.map(({ state }) => state)).toEqual(['valid', 'disabled']);
  });

  it('disables the second file that uses a mapping name, and shows both positions', async () => {
    const loaded = await withTenant(mapping('payments-db'));
    expect(disabledIn(loaded)).toEqual(['teams/a/one.yaml']);
    expect(linesOf(loaded)).toEqual([
      '2:11 mappings[0].name CONFIG_INVALID: the name `payments-db` is used twice, first at secretbridge.yaml:10:11',
    ]);
    const between = await load({
      [MAIN]: main(INCLUDE),
      '/home/ann/teams/a/one.yaml': mapping('one'),
      '/home/ann/teams/a/two.yaml': mapping('one', { target: 'namespace: a, secret: s' }),
    });
    expect(linesOf(between)[0]).toContain('the name `one` is used twice, first at teams/a/one.yaml:2:11');
  });

  it('the loader reports mistakes in an included file with their positions, together with mistakes in the main file', async () => {
    const loaded = await load({
      [MAIN]: `${main(INCLUDE)}log: { level: loud }\n`,
      '/home/ann/teams/a/one.yaml': mapping('one').replace('key:', 'kay:'),
    });
    expect(loaded.problems.map(({ file, path }) => [file, path])).toEqual([
      ['secretbridge.yaml', 'log.level'],
      ['teams/a/one.yaml', 'mappings[0].data.A.key'],
      ['teams/a/one.yaml', 'mappings[0].data.A.kay'],
    ]);
  });

  it('disables an included file with a `stores` section in a second YAML document', async () => {
    const loaded = await withTenant(`${mapping('one')}---\nstores: []\n`);
    expect(disabledIn(loaded)).toEqual(['teams/a/one.yaml']);
  });
});

describe('a mapping outside its bounds', () => {
  it.each([
    ['by its namespace', { target: 'namespace: b' }, 'target.namespace', 'the namespace `b` is'],
    ['by one of its namespaces', { target: 'namespaces: [a, b]' }, 'target.namespaces[1]', 'the namespace `b` is'],
    ['by a longer namespace', { target: 'namespace: ab' }, 'target.namespace', 'the namespace `ab` is'],
    ['by its store', { source: 'A: { store: local, key: a/db }' }, 'data.A.key', 'the key `a/db` of store `local` is'],
    ['by its key', { source: 'A: { store: team-vault, key: b/db }' }, 'data.A.key', 'the key `b/db` of store `team-vault` is'],
    ['by the key of a list', { source: '[ { store: team-vault, key: a } ]' }, 'dataFrom[0].key', 'the key `a` of store `team-vault` is'],
    ['by case', { source: 'A: { store: team-vault, key: A/db }' }, 'data.A.key', 'the key `A/db` of store `team-vault` is'],
    ['by a look-alike', { source: 'A: { store: team-vault, key: "\u0430/db" }' }, 'data.A.key', 'of store `team-vault` is'],
    ['by a percent-encoded step up', { source: 'A: { store: team-vault, key: "a/%2e%2e/b" }' }, 'data.A.key', 'of store `team-vault` is'],
    ['by a template in the key', { source: 'A: { store: team-vault, key: "{{ k }}/db" }' }, 'data.A.key', 'of store `team-vault` is'],
    ['by an ARN', { source: 'A: { store: team-vault, key: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/db" }' }, 'data.A.key', 'of store `team-vault` is'],
    ['by a selector, with its key', { target: 'namespaceSelector: { matchLabels: { x: y } }, secret: s', source: 'A: { store: team-vault, key: b }' }, 'data.A.key', 'of store `team-vault` is'],
  ])('fails only the mapping that exceeds the bounds %s', async (_, parts, path, message) => {
    const { problems } = await withTenant(mapping('one', parts));
    const refused = problems.filter(({ code }) => code === 'NOT_ALLOWED');
    expect(refused).toHaveLength(1);
    expect(refused[0]?.path).toBe(`mappings[0].${path}`);
    expect(refused[0]?.message).toContain(message);
    expect(refused[0]?.message).toContain('outside the bounds of the `include` at secretbridge.yaml:15:5');
  }); // biome-ignore format: a table

  it.each(['b/', '', '/', 'a/../b', 'a//', '..', 'A/', 'ab', 'a*/', 'a/%2e%2e/'])(
    'fails only the mapping that exceeds the bounds by a search below %j',
    async (path) => {
      const source = `[ { store: team-vault, find: { path: "${path}" } } ]`;
      const { problems } = await withTenant(mapping('one', { source }));
      const refused = problems.filter(({ code }) => code === 'NOT_ALLOWED');
      expect(refused.map((violation) => violation.path)).toEqual(['mappings[0].dataFrom[0].find.path']);
    },
  );

  it.each(['a', 'a/', 'a/x', 'a/x/'])(
    'accepts a search below %j, which is within the bounds',
    async (path) => {
      const { problems } = await withTenant(
        mapping('one', { source: `[ { store: team-vault, find: { path: "${path}" } } ]` }),
      );
      expect(problems.filter(({ code }) => code === 'NOT_ALLOWED')).toEqual([]);
    },
  );

  it('keeps the configuration and all valid mappings usable if one mapping exceeds its bounds', async () => {
    const loaded = await withTenant(mapping('one', { source: 'A: { store: team-vault, key: b/db }' }));
    if (loaded.kind !== 'usable') return expect.unreachable();
    const access = createAccess(loaded.config);
    const one = mappingNamed('one', loaded.config);
    const payments = mappingNamed('payments-db', loaded.config);
    const use = { namespace: 'a', store: 'team-vault', key: 'b/db' };
    expect(access.allows({ mapping: one, ...use })).toBe(false);
    expect(access.allows({ mapping: one, ...use, key: 'a/db' })).toBe(true);
    expect(access.allows({ mapping: payments, ...use })).toBe(true);
    expect(access.allowsNamespace({ mapping: one, namespace: 'a-x' })).toBe(true);
    expect(access.allowsNamespace({ mapping: one, namespace: 'payments' })).toBe(false);
    expect(access.allowsNamespace({ mapping: payments, namespace: 'payments' })).toBe(true);
    expect(access.allows({ mapping: one, ...use, key: 'a/db', namespace: 'payments' })).toBe(false);
    expect(access.allowsSearch({ mapping: one, namespace: 'a', store: 'team-vault', path: 'a/' })).toBe(true);
    expect(access.allowsSearch({ mapping: one, namespace: 'a', store: 'team-vault', path: '' })).toBe(false);
  });

  it('a mapping keeps its bounds after its file is removed, so a run that has begun reads nothing else', async () => {
    const loaded = await withTenant(mapping('one', { source: 'A: { store: team-vault, key: b/db }' }));
    const without = await load({ [MAIN]: main(INCLUDE) });
    if (loaded.kind !== 'usable' || without.kind !== 'usable') return expect.unreachable();
    const removed = mappingNamed('one', loaded.config);
    const use = { mapping: removed, namespace: 'a', store: 'team-vault' };
    const access = createAccess(without.config);
    expect([access.allows({ ...use, key: 'a/db' }), access.allows({ ...use, key: 'b/db' })]).toEqual([
      true,
      false,
    ]);
  });

  it('a mapping outside its bounds does not claim a target of another mapping', async () => {
    const claim = await withTenant(mapping('one', { target: 'namespace: payments, secret: payments-db' }));
    expect(claim.kind).toBe('usable');
    expect(claim.problems.map(({ code }) => code)).toEqual(['NOT_ALLOWED']);
  });

  it('denies a key that is within the bounds but that the `access` rules do not allow', async () => {
    const loaded = await load({
      [MAIN]: `${main(INCLUDE)}access: [ { namespaces: ['*'], stores: ['*'], keys: ['payments/**', 'a/shared/*'] } ]\n`,
      '/home/ann/teams/a/one.yaml': mapping('one'),
    });
    expect(linesOf(loaded)).toEqual([
      '4:42 mappings[0].data.A.key NOT_ALLOWED: no rule of `access` allows the key `a/db` of store `team-vault` in `a`',
    ]);
    if (loaded.kind !== 'usable') return expect.unreachable();
    const access = createAccess(loaded.config);
    const one = mappingNamed('one', loaded.config);
    const payments = mappingNamed('payments-db', loaded.config);
    const ask = (mapping: Mapping, key: string) =>
      access.allows({ mapping, namespace: 'a', store: 'team-vault', key });
    expect([ask(one, 'a/db'), ask(one, 'a/shared/x'), ask(one, 'payments/x')]).toEqual([false, true, false]);
    expect([ask(payments, 'a/shared/x'), ask(payments, 'payments/x')]).toEqual([true, true]);
  });
});
