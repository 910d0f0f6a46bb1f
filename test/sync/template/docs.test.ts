import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { checkTemplate } from '../../../src/sync/template/compile.ts';
import { FILTERS } from '../../../src/sync/template/filters.ts';
import { allPages, blocksOf, tableOf } from '../../docs/markdown.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { AES } from './pkcs12-files.ts';
import { run } from './run.ts';

const page = allPages().find(({ path }) => path === 'docs/reference/values.md');
if (page === undefined) throw new Error('the page on values is missing');
// In a Markdown table, a bar is written as `\|`.
const rows = tableOf(page, 'filter', 'example', 'gives').map((row) =>
  row.map((cell) => cell.replaceAll('\\|', '|')),
);

const root = createAuthority('Root');
const middle = root.intermediate('Middle');
const { cert, key } = middle.issue();
const jwk = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const values = {
  LINES: 'a\r\nb\r\n',
  QUOTE: 'say "hi"',
  OBJECT: '{ "id": 123456789012345678, "list": ["a"] }',
  CHAIN: `${root.ca}${cert}${key}${middle.ca}`,
  P12: Buffer.from(AES, 'base64'),
  JWK: JSON.stringify(jwk.privateKey.export({ format: 'jwk' })),
};

/** The expected output of filters that the page describes in words only. */
const MEANT: Readonly<Record<string, string>> = {
  pem_chain: `${cert}${middle.ca}${root.ca}`,
  pem_leaf: cert,
  pem_intermediates: middle.ca,
  pem_root: root.ca,
  pem_key: key,
  jwk_public_pem: jwk.publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  jwk_private_pem: jwk.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
};

describe('table of filters in the documentation', () => {
  it('the table lists exactly the available filters', () => {
    expect(rows.map(([name]) => name).sort()).toEqual(Object.keys(FILTERS).sort());
  });

  it.each(rows)('the table contains the correct result for %s: %s', (name = '', example = '', gives = '') => {
    const result = run(`{{ ${example} }}`, values);
    if (name.startsWith('pkcs12')) expect(result).toMatch(/^-----BEGIN /);
    else expect(result).toBe(MEANT[name] ?? gives);
  });
});

describe('key whose name is a number or a word of the template language', () => {
  it.each(['8080', '1.10', '-5', 'true', 'nil', 'empty'])(
    'a template reads a key by its name in brackets if the name is a number or a word of the language: %s',
    (name) => {
      expect(run(`{{ ["${name}"] }}`, { [name]: 'x' })).toBe('x');
      expect(run(`{{ ${name} }}`, { [name]: 'x' })).not.toBe('x');
    },
  );
});

describe('page on how to write a template', () => {
  const examples = allPages()
    .filter(({ path }) => path === 'docs/how-to/templates.md')
    .flatMap(blocksOf)
    .filter(({ language }) => language === 'yaml')
    .flatMap(({ text }) => (parse(text) as { mappings: Example[] }).mappings)
    .flatMap(({ data, template }) =>
      Object.entries(template.data).map(([key, text]) => ({ key, text, names: Object.keys(data) })),
    );
  const samples = {
    ...{ DB_USER: 'ann', DB_PASSWORD: 'a"b: #c', 'ca.crt': root.ca.replace(/\n/g, '\r\n') },
    ...{ USER: 'ann', PASSWORD: 'p@ss/w', user: 'u', token: 't', bundle: values.CHAIN, p12: values.P12 },
    ...{
      password: 'secret',
      HOST: 'mail',
      TOKEN: 'tok',
      config: '{"hosts":[{"name":"a","port":1},{"name":"b","port":2}]}',
    },
  };

  it.each(examples)('the page contains a working example of $key', ({ text, names }) => {
    expect(checkTemplate(text, names)).toBeUndefined();
    const used = Object.fromEntries(Object.entries(samples).filter(([name]) => names.includes(name)));
    expect(run(text, used)).toEqual(expect.any(String));
  });

  const example = (key: string) => examples.find((entry) => entry.key === key)?.text ?? '';

  it('the page shows the correct output of its examples', () => {
    const yaml = parse(String(run(example('application.yaml'), samples))) as unknown;
    expect(yaml).toEqual({ spring: { datasource: { username: 'ann', password: 'a"b: #c' } }, ca: root.ca });
    expect(run(example('DATABASE_URL'), samples)).toBe('postgres://ann:p%40ss%2Fw@db.payments:5432/payments');
    const docker = String(run(example('.dockerconfigjson'), samples));
    expect(JSON.parse(docker)).toEqual({
      auths: { 'registry.example.org': { auth: Buffer.from('u:t').toString('base64') } },
    });
    expect(run(example('mail.conf'), samples)).toBe('host = mail\ntoken = tok\nfrom = tok\n');
    const { TOKEN: _, ...without } = samples;
    expect(run(example('mail.conf'), without, ['TOKEN'])).toBe('host = mail\nfrom = nobody\n');
    expect(run(example('hosts.txt'), samples)).toBe('a:1\nb:2\n');
  });
});

interface Example {
  readonly data: object;
  readonly template: { readonly data: Readonly<Record<string, string>> };
}
