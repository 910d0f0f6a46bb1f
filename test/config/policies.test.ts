import { describe, expect, it } from 'vitest';
import { linesOf, load, loadText, VALID } from './memory-fs.ts';

const MAIN = '/home/ann/secretbridge.yaml';
const withPolicy = (policy: string, text = VALID) =>
  `${text}policies: [ { namespaces: [payments], ${policy} } ]\n`;
const MERGE = VALID.replace('namespace: payments', 'namespace: payments, mode: merge');

describe('the policies of a configuration', () => {
  it.each([
    [
      'the name of a Secret',
      "secretName: '^pay$'",
      '10:11 mappings[0].name POLICY_VIOLATED: the name of Secret payments-db must match ^pay$ in namespace payments',
    ],
    [
      'a key',
      "keyName: '^[a-z]+$'",
      '13:20 mappings[0].data.DB_PASSWORD POLICY_VIOLATED: the name of key DB_PASSWORD must match ^[a-z]+$ in namespace payments',
    ],
    [
      'a missing label',
      'requireLabels: [team]',
      '11:13 mappings[0].target POLICY_VIOLATED: the target needs the label team in namespace payments',
    ],
    [
      'a store',
      "stores: ['local*']",
      '13:29 mappings[0].data.DB_PASSWORD.store POLICY_VIOLATED: values must not come from store team-vault in namespace payments',
    ],
  ])('report %s that violates them, at its place, and leave the others valid', async (_, policy, line) => {
    const loaded = await loadText(withPolicy(policy));
    expect(linesOf(loaded)).toEqual([line]);
    expect(loaded.kind).toBe('usable');
  });

  it.each([
    ['names that match', "secretName: '-db$', keyName: '^[A-Z_]+$', stores: [team-*], maxAge: 90d"],
    ['another namespace', "secretName: '^pay$'"],
    ['a merge, which writes no labels', 'requireLabels: [team]'],
  ])('allow %s', async (what, policy) => {
    const text = withPolicy(policy, what.startsWith('a merge') ? MERGE : VALID);
    const loaded = await loadText(
      what === 'another namespace' ? text.replace('namespaces: [payments]', 'namespaces: [pay]') : text,
    );
    expect(linesOf(loaded)).toEqual([]);
  });

  it('apply to the keys of a template alone if it drops the others', async () => {
    const template = (name: string) =>
      VALID.replace('    data:', `    template: { only: true, data: { ${name}: 'x' } }\n    data:`);
    const policy = "keyName: '^[a-z]+$'";
    expect(linesOf(await loadText(withPolicy(policy, template('app'))))).toEqual([]);
    expect(linesOf(await loadText(withPolicy(policy, template('App'))))).toEqual([
      expect.stringContaining('mappings[0].template.data.App POLICY_VIOLATED'),
    ]);
  });

  it('apply all together if several match a namespace', async () => {
    const text = `${VALID}policies:
  - { namespaces: ['**'], keyName: '^[A-Z_]+$' }
  - { namespaces: [payments], secretName: '^pay$' }
  - { namespaces: ['pay*'], requireLabels: [team] }
`;
    const codes = (await loadText(text)).problems.map(({ path, code }) => `${path} ${code}`);
    expect(codes).toEqual(['mappings[0].name POLICY_VIOLATED', 'mappings[0].target POLICY_VIOLATED']);
  });

  it.each([
    ['a regular expression that is not linear', "keyName: '(a)\\1'", 'keyName'],
    ['an invalid regular expression', "secretName: '('", 'secretName'],
    ['an unknown member', 'keys: []', 'keys'],
    ['a label of our own', 'requireLabels: [secretbridge.dev/mapping]', 'requireLabels[0]'],
    ['an empty list', 'stores: []', 'stores'],
  ])('reject %s', async (_, policy, path) => {
    const loaded = await loadText(withPolicy(policy));
    expect(loaded.kind).toBe('invalid');
    expect(loaded.problems.map((problem) => `${problem.path} ${problem.code}`)).toEqual([
      `policies[0].${path} CONFIG_INVALID`,
    ]);
  });

  it('fail only the mapping of an included file that violates them', async () => {
    const tenant = (name: string, key: string) =>
      `  - { name: ${name}, target: { namespace: a }, data: { ${key}: { store: local, key: a/x } } }\n`;
    const loaded = await load({
      [MAIN]: `${VALID}include: [ { path: a.yaml, namespaces: [a], stores: [local], keys: ['a/**'] } ]
policies: [ { namespaces: [a], keyName: '^[A-Z]+$' } ]
`,
      '/home/ann/a.yaml': `mappings:\n${tenant('good', 'GOOD')}${tenant('bad', 'bad')}`,
    });
    expect(loaded.problems.map(({ file, path, code }) => [file, path, code])).toEqual([
      ['a.yaml', 'mappings[1].data.bad', 'POLICY_VIOLATED'],
    ]);
    if (loaded.kind !== 'usable') return expect.unreachable();
    expect(loaded.config.includes).toMatchObject([{ state: 'valid' }]);
    expect(loaded.config.mappings.map(({ name, policies }) => [name, policies?.length])).toEqual([
      ['payments-db', undefined],
      ['good', 1],
      ['bad', 1],
    ]);
  });
});
