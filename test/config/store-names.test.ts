import { describe, expect, it } from 'vitest';
import { HEAD, linesOf, loadText } from './memory-fs.ts';

const STORES = `stores:
  - { name: v, kind: vault, address: https://v, auth: { method: token, token: { env: T } } }
  - { name: v1, kind: vault, address: https://v, kvVersion: 1, auth: { method: token, token: { env: T } } }
  - { name: f, kind: files, path: x }
  - { name: aws, kind: aws-secrets-manager, region: eu-west-1 }
  - { name: ps, kind: aws-parameter-store, region: eu-west-1 }
  - { name: az, kind: azure-key-vault, vaultUrl: https://a.vault.azure.net }
`;

/** Returns the problems of one source, without the problems about unsupported features. */
async function source(fields: string, list = false): Promise<readonly string[]> {
  const sources = list ? `dataFrom: [ { ${fields} } ]` : `data: { A: { ${fields} } }`;
  const text = `${HEAD}${STORES}mappings:\n  - name: m\n    target: { namespace: a }\n    ${sources}\n`;
  return linesOf(await loadText(text))
    .filter((line) => !line.includes('is not in this version'))
    .map((line) => line.replace(/^\d+:\d+ mappings\[0\]\.(?:data\.A|dataFrom\[0\])\.?/, ''));
}

const PATH = 'expected a path in the mount';
const FILE = 'expected a path relative to the folder';
const AWS = 'expected an AWS Secrets Manager name: 1 to 512 of `A-Z a-z 0-9 / _ + = . @ ! -`';
const AZURE = 'expected an Azure Key Vault name: 1 to 127 of `0-9 a-z A-Z -`';
const ARN = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:a/b-AbCdEf';
const PARAMETER = 'expected a parameter name: 1 to 1011 of `A-Z a-z 0-9 / _ . -`';
const PARAMETER_ARN = 'arn:aws:ssm:eu-west-1:123456789012:parameter/a/b';

describe('a key that its store does not allow', () => {
  it.each([
    ['v', '/payments/db', `${PATH} without \`/\` at its ends and without \`//\` — did you mean \`payments/db\`?`],
    ['v', 'payments/db/', `${PATH} without \`/\` at its ends and without \`//\` — did you mean \`payments/db\`?`],
    ['v', 'payments//db', `${PATH} without \`/\` at its ends and without \`//\` — did you mean \`payments/db\`?`],
    ['v', '/', `${PATH} without \`/\` at its ends and without \`//\``],
    ['v', 'a/../b', `${PATH} without \`.\` and \`..\` segments`],
    ['v', './a', `${PATH} without \`.\` and \`..\` segments`],
    ['v', 'a\\n', `${PATH}, of well-formed Unicode without control characters`],
    ['v1', 'a/', `${PATH} without \`/\` at its ends and without \`//\` — did you mean \`a\`?`],
    ['f', '/etc/passwd', `${FILE} without \`/\` at its ends and without \`//\` — did you mean \`etc/passwd\`?`],
    ['f', '../x', `${FILE} without \`.\` and \`..\` segments`],
    ['aws', 'a b', AWS],
    ['aws', ' a', `${AWS} — did you mean \`a\`?`],
    ['aws', 'caf\u00e9', AWS],
    ['aws', 'x'.repeat(513), AWS],
    ['aws', 'a/../b', 'expected a name without `.` and `..` segments'],
    ['aws', 'arn:aws:s3:::bucket', 'expected a name, or an ARN: `arn:aws:secretsmanager:<region>:<account>:secret:<name>`'],
    ['aws', ARN.replace('eu-west-1', 'us-east-1'), "expected an ARN of the store's own region `eu-west-1`, got one of `us-east-1`"],
    ['ps', 'a@b', PARAMETER],
    ['ps', 'a/b', 'expected a name with `/` at its start, because it has levels — did you mean `/a/b`?'],
    ['ps', '/a//b/', 'expected a name without `/` at its end and without `//` — did you mean `/a/b`?'],
    ['ps', '/a/../b', 'expected a name without `.` and `..` segments'],
    ['ps', '/a/b:3', 'expected a name without `:`; write the part after the colon as `version`'],
    ['ps', ARN, 'expected a name, or an ARN: `arn:aws:ssm:<region>:<account>:parameter/<name>`'],
    ['ps', PARAMETER_ARN.replace('eu-west-1', 'us-east-1'), "expected an ARN of the store's own region `eu-west-1`, got one of `us-east-1`"],
    ['az', 'payments/db', `${AZURE} — did you mean \`payments-db\`?`],
    ['az', 'payments_db.v2', `${AZURE} — did you mean \`payments-db-v2\`?`],
    ['az', 'caf\u00e9', AZURE],
    ['az', 'x'.repeat(128), AZURE],
  ])('the loader reports a key that its store does not allow: %s %j', async (store, key, message) => {
    expect(await source(`store: ${store}, key: "${key}"`)).toEqual([`key CONFIG_INVALID: ${message}`]);
    expect(await source(`store: ${store}, key: "${key}"`, true)).toEqual([`key CONFIG_INVALID: ${message}`]);
  }); // biome-ignore format: a table

  it.each([
    ['v', 'payments/db'], ['v', 'a b/\u00e9'], ['v', '...'], ['v1', 'data/a'], ['f', 'a/b.json'], ['f', '.env'],
    ['aws', '/prod/db'], ['aws', 'team//db'], ['aws', '/prod/'], ['aws', 'rds!cluster-1'], ['aws', 'a@b+c=d.e_f-g'], ['aws', 'x'.repeat(512)], ['aws', ARN],
    ['aws', ARN.replace('-AbCdEf', '')], ['aws', ARN.replace('arn:aws:', 'arn:aws-us-gov:')],
    ['ps', '/prod/db'], ['ps', 'plain'], ['ps', '/plain'], ['ps', '/aws/service/ami-amazon-linux-latest/x'], ['ps', PARAMETER_ARN],
    ['az', 'Payments-DB-2'], ['az', 'x'.repeat(127)],
  ])('accepts a valid key: %s %j', async (store, key) => {
    expect(await source(`store: ${store}, key: "${key}"`)).toEqual([]);
  }); // biome-ignore format: a table
});

describe('a version that its store does not allow', () => {
  it.each([
    ['v', '0', 'expected a Vault version: a whole number from 1'],
    ['v', 'AWSPREVIOUS', 'expected a Vault version: a whole number from 1'],
    ['v', '"03"', 'expected a Vault version: a whole number from 1'],
    ['v1', '1', 'expected no `version`, or the fingerprint of the only accepted value: the key/value engine version 1 has no versions'],
    ['f', '1', 'expected no `version`, or the fingerprint of the only accepted value: files have no versions'],
    ['az', '1', 'expected an Azure Key Vault version: 32 hexadecimal digits'],
    ['ps', '0', 'expected a version number, or a label such as `blue`'],
    ['ps', 'aws-1', 'expected a version number, or a label such as `blue`'],
    ['aws', '"a\\nb"', 'expected a version id, or a stage label such as `AWSPREVIOUS`'],
    ['aws', 'x'.repeat(257), 'expected a version id, or a stage label such as `AWSPREVIOUS`'],
  ])('the loader reports a version that its store does not allow: %s %s', async (store, version, message) => {
    expect(await source(`store: ${store}, key: a, version: ${version}`)).toEqual([`version CONFIG_INVALID: ${message}`]);
  }); // biome-ignore format: a table

  it.each([
    ['v', '3'], ['v', '"3"'], ['v1', `"01234567:${'0a'.repeat(32)}"`], ['f', `"01234567:${'0a'.repeat(32)}"`],
    ['aws', 'AWSPREVIOUS'], ['aws', '3'], ['ps', '3'], ['ps', 'blue'], ['aws', '0f8fad5b-d9cb-469f-a165-70867728950e'], ['az', '4387e9f3d6e14c459867679a90fd0f79'],
  ])('accepts a valid version: %s %s', async (store, version) => {
    expect(await source(`store: ${store}, key: a, version: ${version}`)).toEqual([]);
  }); // biome-ignore format: a table
});

describe('a search that its store does not support', () => {
  it.each([
    ['v', 'path: ../a', 'find.path CONFIG_INVALID: expected a path in the mount without `.` and `..` segments'],
    ['v', 'path: /a', 'find.path CONFIG_INVALID: expected a path in the mount without `/` at its ends and without `//` — did you mean `a`?'],
    ['f', 'path: a//', 'find.path CONFIG_INVALID: expected a folder without `/` at its ends and without `//` — did you mean `a`?'],
    ['aws', 'path: "a b/"', `find.path CONFIG_INVALID: ${AWS}`],
    ['aws', 'path: /a//b', 'find.path CONFIG_INVALID: expected a path without `//` — did you mean `/a/b`?'],
    ['aws', 'path: a//', 'find.path CONFIG_INVALID: expected a path without `//` — did you mean `a`?'],
    ['ps', 'path: app', 'find.path CONFIG_INVALID: expected a path that starts with `/` — did you mean `/app`?'],
    ['az', 'path: a/', `find.path CONFIG_INVALID: ${AZURE} — did you mean \`a\`?`],
    ['f', 'tags: { a: b }', 'find.tags CONFIG_INVALID: expected no tags: this store has none'],
    ['v1', 'tags: { a: b }', 'find.tags CONFIG_INVALID: expected no tags: this store has none'],
  ])('the loader reports a search that its store does not support: %s { %s }', async (store, find, line) => {
    expect(await source(`store: ${store}, find: { ${find} }`, true)).toEqual([line]);
  }); // biome-ignore format: a table

  it.each([
    ['v', 'path: ""'], ['v', 'path: features/'], ['v', 'tags: { a: b }'], ['f', 'path: a/b/'], ['aws', 'path: /prod/'],
    ['aws', 'tags: { a: b }'], ['ps', 'path: /app/'], ['ps', 'tags: { a: b }'], ['az', 'path: payments-'], ['az', 'tags: { a: b }'],
  ])('accepts a valid search: %s { %s }', async (store, find) => {
    expect(await source(`store: ${store}, find: { ${find} }`, true)).toEqual([]);
  }); // biome-ignore format: a table
});

describe('problems of stores and mappings', () => {
  it('the loader reports several mistakes in one entry together', async () => {
    expect(await source('store: v, key: a/, version: 0, object: key, propety: x')).toEqual([
      'key CONFIG_INVALID: expected a path in the mount without `/` at its ends and without `//` — did you mean `a`?',
      'version CONFIG_INVALID: expected a Vault version: a whole number from 1',
      'object CONFIG_INVALID: expected a store of kind `azure-key-vault`: other kinds have no `object`',
      'propety CONFIG_INVALID: unknown key `propety` — did you mean `property`?',
    ]);
  });

  it.each([
    ['vault, address: http://vault.internal', 'address'],
    ['aws-secrets-manager, endpoint: http://aws.internal', 'endpoint'],
  ])('the loader reports both plain http and an unknown key in one store: kind %s', async (fields, field) => {
    const lines = linesOf(await loadText(`${HEAD}stores: [ { name: s, kind: ${fields}, x: 1 } ]\n`));
    const httpProblems = lines.filter((line) => line.includes('http is allowed on loopback only'));
    expect(httpProblems).toHaveLength(1);
    expect(httpProblems[0]).toContain(` stores[0].${field} `);
    expect(lines.join()).toContain('unknown key `x`');
  });

  it('does not suggest `allowHttp` for plain http if the store kind does not have this field', async () => {
    const fields = 'kind: azure-key-vault, vaultUrl: http://azure.internal';
    const lines = linesOf(await loadText(`${HEAD}stores: [ { name: s, ${fields} } ]\n`));
    expect(lines).toEqual([
      '3:55 stores[0].vaultUrl CONFIG_INVALID: expected the https URL of the vault without a path, such as https://contoso.vault.azure.net',
    ]);
  });

  it.each(['constructor', 'toString', '__proto__'])(
    'rejects a store with the unknown kind %s',
    async (kind) => {
      const text = `${HEAD}stores: [ { name: s, kind: ${kind} } ]
mappings: [ { name: m, target: { namespace: a }, data: { A: { store: s, key: k } } } ]\n`;
      expect(linesOf(await loadText(text))).toEqual([
        '3:28 stores[0].kind CONFIG_INVALID: expected `aws-parameter-store`, `aws-secrets-manager`, `azure-key-vault`, `files` or `vault`, got other text',
      ]);
    },
  );

  it('the loader reports both conflicting fields and unknown keys in one mapping', async () => {
    const text = `${HEAD}stores: [ { name: s, kind: files, path: x } ]
mappings:
  - name: m
    target: { namespace: a, namespaces: [b, b], colour: red }
    data: { A: { store: s, key: k } }
    dataFrom: [ { store: s, key: k, find: {}, colour: red } ]
    template: { data: { A: x }, colour: red }
    colour: red
`;
    const lines = linesOf(await loadText(text)).filter((line) => !line.includes('is not in this version'));
    expect(lines.map((line) => line.replace(/^\d+:\d+ /, ''))).toEqual([
      'mappings[0].target CONFIG_INVALID: expected exactly one of `namespace`, `namespaces` and `namespaceSelector`',
      'mappings[0].target.namespaces[1] CONFIG_INVALID: the namespace `b` is listed twice',
      'mappings[0].target.colour CONFIG_INVALID: unknown key `colour`',
      'mappings[0].dataFrom[0] CONFIG_INVALID: expected either `key` or `find`, not both',
      'mappings[0].dataFrom[0].colour CONFIG_INVALID: unknown key `colour`',
      'mappings[0].template.data.A KEY_COLLISION: the key `A` is also set by a source, at secretbridge.yaml:7:13',
      'mappings[0].template.colour CONFIG_INVALID: unknown key `colour`',
      'mappings[0].colour CONFIG_INVALID: unknown key `colour`',
    ]);
  });
});

describe('names and sizes in Kubernetes', () => {
  const SOURCE = 'data: { A: { store: f, key: a } }';
  const lines = async (mappings: string) =>
    linesOf(await loadText(`${HEAD}${STORES}mappings: [ ${mappings} ]\n`))
      .filter((line) => !line.includes('is not in this version'))
      .map((line) => line.replace(/^\d+:\d+ mappings\[0\]\./, ''));
  const problems = (mapping: string) => lines(`{ ${mapping}, ${SOURCE} }`);

  it.each([
    ['name: m, target: { namespace: Team_A }', 'target.namespace', 'team-a'],
    ['name: m, target: { namespace: a.b }', 'target.namespace', 'a-b'],
    ['name: m, target: { namespace: a, secret: Payments_DB }', 'target.secret', 'payments-db'],
    ['name: Payments/DB, target: { namespace: a, secret: s }', 'name', 'payments-db'],
  ])('suggests a valid name for an invalid one: %s', async (mapping, path, rather) => {
    const found = await problems(mapping);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(new RegExp(`^${path} CONFIG_INVALID: .*— did you mean \`${rather}\`\\?$`));
  });

  it('suggests a valid key for an invalid one', async () => {
    const [line] = await lines(
      "{ name: m, target: { namespace: a }, data: { 'DB PASSWORD': { store: f, key: a } } }",
    );
    expect(line).toMatch(/KEY_INVALID: .* — did you mean `DB_PASSWORD`\?$/);
  });

  it('suggests nothing for a name with look-alike letters', async () => {
    const [line] = await problems('name: m, target: { namespace: "p\u0430yments" }');
    expect(line).not.toContain('did you mean');
  });

  it('the loader checks the name of a mapping as a Secret name if the Secret takes its name from the mapping', async () => {
    expect((await problems('name: a..b, target: { namespace: a }'))[0]).toContain(
      'name CONFIG_INVALID: the Secret gets this name, but it is not a valid Secret name',
    );
    expect(await problems('name: a..b, target: { namespace: a, secret: s }')).toEqual([]);
    expect(await problems('name: a.b, target: { namespace: a }')).toEqual([]);
  });

  it('the loader limits the size of annotations, because our own annotations count toward the limit of Kubernetes', async () => {
    const annotations = (size: number) =>
      `name: m, target: { namespace: a, annotations: { a: "${'word '.repeat(size / 5)}", b: x } }`;
    expect(await problems(annotations(180 * 1024))).toEqual([]);
    expect(await problems(annotations(200 * 1024))).toEqual([
      'target.annotations CONFIG_INVALID: annotations of at most 190 KiB in total, got 201 KiB: Kubernetes allows 256 KiB, and our own annotations need room',
    ]);
  });

  it('the loader checks the names and values of labels in a selector', async () => {
    const found = await problems(
      'name: m, target: { secret: s, namespaceSelector: { matchLabels: { "a b": c, d: "e f" } } }',
    );
    expect(
      found.filter((line) => line.includes('matchLabels')).map((line) => line.split(' CONFIG')[0]),
    ).toEqual(['target.namespaceSelector.matchLabels["a b"]', 'target.namespaceSelector.matchLabels.d']);
  });

  it.each([
    ['[{ key: a, operator: In, values: [b] }, { key: c, operator: Exists }]', undefined],
    ['[]', 'at least one expression'],
    ['[{ key: a b, operator: Exists }]', 'a name like `team`'],
    ['[{ key: a, operator: Equals, values: [b] }]', '`In`'],
    ['[{ key: a, operator: NotIn }]', 'at least one value for `In` and `NotIn`'],
    ['[{ key: a, operator: DoesNotExist, values: [b] }]', 'no `values` for'],
    ['[{ key: a, operator: In, values: ["b c"] }]', 'at most 63 letters'],
  ])('the loader checks the expressions of a selector: %s', async (expressions, expected) => {
    const selector = `{ matchExpressions: ${expressions} }`;
    const found = await problems(
      `name: m, target: { secret: s, namespaceSelector: ${selector} }, restart: [{ kind: Deployment, selector: ${selector} }]`,
    );
    if (expected === undefined) return expect(found).toEqual([]);
    expect(found).toEqual([expect.stringContaining(expected), expect.stringContaining(expected)]);
  });

  it('the loader refuses a selector that selects everything', async () => {
    expect(await problems('name: m, target: { secret: s, namespaceSelector: {} }')).toEqual([
      expect.stringContaining('`matchLabels`, `matchExpressions` or both'),
    ]);
  });
});
