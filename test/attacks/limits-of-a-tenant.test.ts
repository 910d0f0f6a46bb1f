import { describe, expect, it } from 'vitest';
import { type Bench, openBench } from '../cli/harness.ts';

// A tenant writes more into its file than its limits allow.

const main = (limits: string) => `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: local, kind: files, path: ./store } ]
include:
  - { path: teams/a, namespaces: ['a*'], stores: [local], keys: ['**']${limits} }
  - { path: teams/b, namespaces: [b], stores: [local], keys: ['**'] }
`;

const key = '{ store: local, key: db.json, property: user }';
const mapping = (name: string, target: string, more = `data: { KEY: ${key} }`) =>
  `  - { name: ${name}, target: { ${target} }, ${more} }\n`;
const names = (count: number, prefix = 'm') =>
  Array.from({ length: count }, (_, index) => `${prefix}${index}`);

async function openTeams(limits: string, mappings: readonly string[]): Promise<Bench> {
  const bench = await openBench(main(limits));
  await bench.write('teams/a/one.yaml', `mappings:\n${mappings.join('')}`);
  await bench.write('teams/b/one.yaml', `mappings:\n${mapping('theirs', 'namespace: b')}`);
  return bench;
}

/** Returns `<mapping>@<namespace> <outcome or code>` for each target. */
async function sync(bench: Bench) {
  const { code, json } = await bench.run('sync', '--output', 'json');
  const { targets } = json as {
    targets: { mapping: string; namespace: string; outcome: string; code?: string }[];
  };
  return {
    code,
    lines: targets
      .map(({ mapping: name, namespace, outcome, code: error }) => `${name}@${namespace} ${error ?? outcome}`)
      .toSorted(),
  };
}

async function problemsOf(bench: Bench) {
  const { code, json } = await bench.run('validate', '--output', 'json');
  const { problems, warnings } = json as { problems: { code: string; path: string }[]; warnings: object[] };
  return { code, problems: problems.map((problem) => `${problem.path} ${problem.code}`), warnings };
}

describe('the limits of an include', () => {
  it('refuse the last mappings in the order of the files, and only those', async () => {
    await using bench = await openTeams(
      ', limits: { mappings: 2 }',
      names(3).map((name) => mapping(name, 'namespace: a')),
    );
    await bench.write('teams/a/two.yaml', `mappings:\n${mapping('later', 'namespace: a')}`);
    expect(await problemsOf(bench)).toMatchObject({
      code: 3,
      problems: ['mappings[2] LIMIT_REACHED', 'mappings[0] LIMIT_REACHED'],
    });
    expect(await sync(bench)).toEqual({
      code: 4,
      lines: [
        'later@a LIMIT_REACHED',
        'm0@a created',
        'm1@a created',
        'm2@a LIMIT_REACHED',
        'theirs@b created',
      ],
    });
  });

  it('allow 500 mappings by default', async () => {
    await using bench = await openTeams(
      '',
      names(501).map((name) => mapping(name, 'namespace: a')),
    );
    expect((await problemsOf(bench)).problems).toEqual(['mappings[500] LIMIT_REACHED']);
  });

  it('refuse the last targets of a mapping with many namespaces, and those of later mappings', async () => {
    await using bench = await openTeams(', limits: { targets: 3 }', [
      mapping('wide', 'namespaces: [a1, a2, a3, a4]'),
      mapping('next', 'namespace: a'),
    ]);
    expect((await problemsOf(bench)).problems).toEqual([
      'mappings[0] LIMIT_REACHED',
      'mappings[1] LIMIT_REACHED',
    ]);
    expect((await sync(bench)).lines).toEqual([
      'next@a LIMIT_REACHED',
      'theirs@b created',
      ...['wide@a1 created', 'wide@a2 created', 'wide@a3 created', 'wide@a4 LIMIT_REACHED'],
    ]);
  });

  it('refuse a mapping with too many keys, whether they are named, members of an object or found', async () => {
    const data = names(4, 'K').map((name) => `${name}: ${key}`);
    await using bench = await openTeams(', limits: { keysPerMapping: 3 }', [
      mapping('named', 'namespace: a', `data: { ${data.join(', ')} }`),
      mapping('spread', 'namespace: a', 'dataFrom: [ { store: local, key: many.json } ]'),
      mapping('found', 'namespace: a', 'dataFrom: [ { store: local, find: { path: many } } ]'),
      mapping(
        'templates',
        'namespace: a',
        `data: { A: ${key}, B: ${key} }, template: { data: { C: c, D: d } }`,
      ),
      mapping('fine', 'namespace: a', `data: { ${data.slice(1).join(', ')} }`),
    ]);
    await bench.write('store/many.json', '{"a":"1","b":"2","c":"3","d":"4"}');
    for (const name of names(4)) await bench.write(`store/many/${name}`, 'x');
    expect((await problemsOf(bench)).problems).toEqual([
      'mappings[0] LIMIT_REACHED',
      'mappings[3] LIMIT_REACHED',
    ]);
    expect((await sync(bench)).lines).toEqual([
      ...['fine@a created', 'found@a LIMIT_REACHED', 'named@a LIMIT_REACHED', 'spread@a LIMIT_REACHED'],
      ...['templates@a LIMIT_REACHED', 'theirs@b created'],
    ]);
  });

  it('refuse a mapping whose templates, or what they give, are too large', async () => {
    const template = (text: string) => `data: { A: ${key} }, template: { data: { T: '${text}' } }`;
    await using bench = await openTeams(', limits: { templateBytes: 1KiB }', [
      mapping('alone', 'namespace: a', template('x'.repeat(1_025))),
      mapping('first', 'namespace: a', template('x'.repeat(600))),
      mapping('second', 'namespace: a', template('x'.repeat(600))),
      mapping('output', 'namespace: a', template('{{ A | append: A | append: A }}')),
    ]);
    await bench.write('store/db.json', JSON.stringify({ user: 'u'.repeat(400) }));
    expect(await problemsOf(bench)).toMatchObject({
      code: 3,
      problems: ['mappings[0] LIMIT_REACHED', 'mappings[2] LIMIT_REACHED'],
    });
    expect((await sync(bench)).lines).toEqual([
      ...['alone@a LIMIT_REACHED', 'first@a created', 'output@a LIMIT_REACHED', 'second@a LIMIT_REACHED'],
      'theirs@b created',
    ]);
  });

  it('refuse a mapping whose search patterns take too long to check, and do not check them', async () => {
    // 310 patterns of 10,000 steps each.
    const finds = names(310, 'x').map(
      (name) => `{ store: local, find: { path: many, name: '(.{99}){99}${name}' } }`,
    );
    await using bench = await openTeams('', [
      mapping('patterns', 'namespace: a', `dataFrom: [ ${finds.join(', ')} ]`),
      mapping('fine', 'namespace: a'),
    ]);
    expect(await problemsOf(bench)).toMatchObject({ code: 3, problems: ['mappings[0] LIMIT_REACHED'] });
    expect(await sync(bench)).toEqual({
      code: 4,
      lines: ['fine@a created', 'patterns@a LIMIT_REACHED', 'theirs@b created'],
    });
  });

  it('end the templates of a mapping that take too long', async () => {
    const slow =
      '{% assign l = A | split: "" %}{% for a in l limit: 100 %}{% assign x = l | sort | uniq %}{% endfor %}';
    const texts = names(20, 'T').map((name) => `${name}: '${slow}'`);
    await using bench = await openTeams(', limits: { templateTime: 50ms }', [
      mapping('slow', 'namespace: a', `data: { A: ${key} }, template: { data: { ${texts.join(', ')} } }`),
      mapping('fast', 'namespace: a'),
    ]);
    await bench.write('store/db.json', JSON.stringify({ user: 'u'.repeat(9_000) }));
    expect((await problemsOf(bench)).problems).toEqual([]);
    expect((await sync(bench)).lines).toEqual(['fast@a created', 'slow@a LIMIT_REACHED', 'theirs@b created']);
  });

  it('raise a shorter refresh, with a warning', async () => {
    await using bench = await openTeams('', [
      mapping('fast', 'namespace: a', `refresh: 1s, data: { KEY: ${key} }`),
      mapping('slow', 'namespace: a', `refresh: 2m, data: { KEY: ${key} }`),
    ]);
    const { code, problems, warnings } = await problemsOf(bench);
    expect({ code, problems }).toEqual({ code: 0, problems: [] });
    expect(warnings).toEqual([
      expect.objectContaining({
        file: 'teams/a/one.yaml',
        line: 2,
        path: 'mappings[0].refresh',
        code: 'LIMIT_REACHED',
      }),
    ]);
  });

  it('keep an existing target that a lower limit refuses', async () => {
    await using bench = await openTeams('', [mapping('m0', 'namespace: a'), mapping('m1', 'namespace: a')]);
    expect((await sync(bench)).code).toBe(0);
    const before = await bench.read('cluster/a/m1.yaml');
    await bench.write('secretbridge.yaml', main(', limits: { mappings: 1 }'));
    await bench.write('store/db.json', '{"user":"eve"}');
    expect((await sync(bench)).lines).toEqual(['m0@a updated', 'm1@a LIMIT_REACHED', 'theirs@b updated']);
    expect(await bench.read('cluster/a/m1.yaml')).toBe(before);
  });

  it('make calls to stores wait', async () => {
    await using bench = await openTeams(
      ', limits: { callsPerMinute: 240 }',
      names(26).map((name) => mapping(name, 'namespace: a', `data: { KEY: { store: local, key: ${name} } }`)),
    );
    for (const name of names(26)) await bench.write(`store/${name}`, name);
    const start = performance.now();
    const { code, lines } = await sync(bench);
    expect(code).toBe(0);
    expect(lines).toHaveLength(27);
    expect(performance.now() - start).toBeGreaterThan(450);
  });
});
