import { describe, expect, it } from 'vitest';
import { findCredentials } from '../../src/config/checks/find-credentials.ts';
import { parseYaml } from '../../src/config/files/yaml.ts';
import { createRedactor } from '../../src/config/redact.ts';
import { linesOf, load, loadText, VALID } from './memory-fs.ts';
import { realistic } from './realistic.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** Returns random text for a seed, so that no file of this repository contains text that looks like a credential. */
function random(length: number, letters = LETTERS, seed = 7): string {
  let state = seed + length;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return letters[(state >>> 8) % letters.length];
  }).join('');
}

function scan(text: string) {
  const [root] = parseYaml(text, 'f').documents;
  if (root === undefined) throw new Error('no document');
  return findCredentials(root, new Map([['f', text]]));
}

/** Puts the text into a key, an annotation or a template. */
const PLACES: readonly [string, (text: string) => string][] = [
  ['the key of a source', (text) => `mappings: [ { data: { A: { key: ${JSON.stringify(text)} } } } ]`],
  ['an annotation', (text) => `mappings: [ { target: { annotations: { a: ${JSON.stringify(text)} } } } ]`],
  [
    'a template',
    (text) => `mappings: [ { template: { data: { a: ${JSON.stringify(`x\n  y ${text}\nz`)} } } } ]`,
  ],
];

const CREDENTIALS: readonly [string, string][] = [
  ['a Vault token', `hvs.${random(90)}`],
  ['an old token of Vault', `s.${random(24)}`],
  ['an AWS access key ID', `AKIA${random(16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`],
  ['a GitHub token', `ghp_${random(36)}`],
  ['a fine-grained token of GitHub', `github_pat_${random(22)}_${random(59)}`],
  ['a GitLab token', `glpat-${random(20)}`],
  ['a Slack token', `xoxb-${random(12, '0123456789')}-${random(12, '0123456789')}-${random(24)}`],
  ['a Stripe key', `sk_${'live'}_${random(24)}`],
  ['a Google API key', `AIza${random(35)}`],
  ['a key of SendGrid', `SG.${random(22)}.${random(43)}`],
  ['a key of OpenAI', `sk-proj-${random(74)}`],
  ['an npm token', `npm_${random(36)}`],
  ['an Azure client secret', `${random(3)}8Q~${random(34)}`],
  ['an Azure account key', `AccountName=x;AccountKey=${random(86)}==;EndpointSuffix=core.windows.net`],
  ['a JSON Web Token', `${btoa('{"alg":"HS256"}')}.${btoa('{"sub":"1234567890"}')}.${random(43)}`],
  ['a bearer token', `Authorization: Bearer ${random(30)}`],
  ['an address with a password', 'postgres://app:s3cr3tpw@db.internal/x'],
  ['an https address with a password', 'https://app:s3cr3tpw@git.internal/x'],
  ['a private key', `-----BEGIN ${'PRIVATE'} KEY-----\n${random(64)}\n-----END ${'PRIVATE'} KEY-----`],
  ['a key of OpenSSH', `-----BEGIN OPENSSH ${'PRIVATE'} KEY-----\n${random(70)}`],
]; // Each random part uses its own seed.

describe('a suspected credential', () => {
  it.each(
    PLACES.flatMap(([where, put]) => CREDENTIALS.map(([what, text]) => [what, where, put(text), text])),
  )('reports, but does not show, %s in %s', (_what, _where, file, text) => {
    const { problems, fragments } = scan(file);
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain('a configuration must not contain credentials');
    expect(JSON.stringify(problems)).not.toContain(text.slice(-12));
    expect([...fragments].some((fragment) => text.includes(fragment))).toBe(true);
  });

  it.each([
    ['password: hunter2hunter', 'a template'],
    ['db.password=Tr0ub4dor&3x', 'a template'],
    ['"apiKey": "k-12ab34cd56"', 'a template'],
    ["client_secret = 'p4ss-w0rd!'", 'a template'],
  ])('detects a credential by the name in front of it: %s', (text) => {
    expect(
      scan(`mappings: [ { template: { data: { a: ${JSON.stringify(text)} } } } ]`).problems,
    ).toHaveLength(1);
  });

  it('detects a credential by the name of its annotation', () => {
    expect(
      scan('mappings: [ { target: { annotations: { password: hunter2hunter } } } ]').problems,
    ).toHaveLength(1);
    expect(scan('mappings: [ { target: { annotations: { note: hunter2hunter } } } ]').problems).toEqual([]);
  });

  it('detects a credential in a field name, and reports its position', () => {
    const text = `a:\n  ghp_${random(36)}: 1\n`;
    expect(scan(text).problems).toMatchObject([{ file: 'f', line: 2, column: 3 }]);
  });

  it.each(['on its line', 'above'])(
    'accepts a suspected credential if the comment that allows it is %s',
    (where) => {
      const token = `hvs.${random(90)}`;
      const comment = '# secretbridge:allow the token of the demo';
      const text = where === 'above' ? `a: 1\n  ${comment}\nb: ${token}\n` : `a: 1\nb: ${token} ${comment}\n`;
      expect(scan(text).problems).toEqual([]);
      expect(scan(text.replace('secretbridge:allow', 'secretbridge:other')).problems).toHaveLength(1);
    },
  );

  it('the credential scan reports a suspected credential if the comment that would allow it is on another line', () => {
    const token = `hvs.${random(90)}`;
    expect(scan(`# secretbridge:allow\na: 1\nb: ${token}\n`).problems).toHaveLength(1);
    expect(scan(`a: 1 # secretbridge:allow\nb: ${token}\n`).problems).toHaveLength(1);
    expect(scan(`b: ${token}\nc: x # secretbridge:allow\n`).problems).toHaveLength(1);
  });

  it('the credential scan reports a suspected credential, but keeps the configuration usable', async () => {
    const loaded = await loadText(VALID.replace('key: payments/db', `key: payments/ghp_${random(36)}`));
    expect(loaded.kind).toBe('usable');
    expect(linesOf(loaded)).toEqual([
      '13:46 mappings[0].data.DB_PASSWORD.key CONFIG_INVALID: this looks like a GitHub token; a configuration must not contain credentials — keep it in a store, or use a reference; if it is not a credential, put the comment `# secretbridge:allow` on this line',
    ]);
  });

  it('the credential scan reports a credential only once if it is written where a reference is expected', async () => {
    const lines = linesOf(await loadText(VALID.replace('{ env: VAULT_TOKEN }', `hvs.${random(90)}`)));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('a configuration must not contain credentials; write a reference');
  });

  it('shows no credential in messages about unknown keys, names, stores or denied keys', async () => {
    const token = `glpat-${random(20)}`;
    const long = `hvs.${random(120)}`;
    const texts = [
      `${VALID}${token}: 1\n`,
      `${VALID}${long}: 1\n`,
      VALID.replace('store: team-vault', `store: ${token}`),
      VALID.replace('name: payments-db', `name: ${token}`),
      VALID.replace('key: payments/db', `key: ${token}/`),
      VALID.replace('key: payments/db', `key: "${long}//"`),
      `${VALID}access: [ { namespaces: [a], stores: [local], keys: [a] } ]`.replace(
        'key: payments/db',
        `key: ${token}`,
      ),
      `${VALID}include: [ { path: ${token}, namespaces: [a], stores: [local], keys: [a] } ]`,
      VALID.replace('DB_PASSWORD', `${token}~`),
    ];
    for (const text of texts) {
      const loaded = await loadText(text);
      expect(loaded.problems).not.toEqual([]);
      expect(JSON.stringify(loaded.problems)).not.toContain(token.slice(0, 16));
      expect(JSON.stringify(loaded.problems)).not.toContain(long.slice(0, 16));
    }
  });

  it('the credential scan reports a suspected credential in an included file, with its position', async () => {
    const loaded = await load({
      '/home/ann/secretbridge.yaml': `${VALID}include: [ { path: t.yaml, namespaces: ['*'], stores: [local], keys: ['**'] } ]`,
      '/home/ann/t.yaml': `mappings:\n  - name: t\n    target: { namespace: t }\n    data: { A: { store: local, key: ghp_${random(36)} } }\n`,
    });
    expect(loaded.problems).toMatchObject([{ file: 't.yaml', line: 4, code: 'CONFIG_INVALID' }]);
  });
});

describe('text without credentials', () => {
  it('accepts random text without the form of a credential', () => {
    for (const [, put] of PLACES) expect(scan(put(random(40))).problems).toEqual([]);
  });

  it('accepts 300 mappings with digests, ids, certificates and templates', () => {
    expect(scan(realistic(300)).problems).toEqual([]);
  });

  it('detects a credential in a file that otherwise contains only harmless text', () => {
    const text = realistic(3);
    for (const place of ['team-0', 'prod-payments:', 'Prod1', 'WHEN_AUTHORIZED', 'smtp.relay', 'app-2'])
      if (text.includes(place))
        expect(
          scan(text.replace(place, `${place}/ghp_${random(40)}`)).problems.length,
          place,
        ).toBeGreaterThan(0);
  });

  it.each([
    'AKIAXXXXXXXXXXXXXXXX', 'hvs.xxxxxxxxxxxxxxxxxxxxxxxxxxxx', 'https://user:password@host/', 'postgres://user:********@host/db',
    'password: changeme', 'password: <your password>', 'token = "$TOKEN"', 'secret: true', 'secretName: payments-db2',
    'maxTokens: 100000', 'arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab',
    'PaymentsDatabaseReadOnlyUserCredentialsV2', 'payments/eu-west-1/Prod/PaymentsApiV2/DBPassword',
    '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'd41d8cd98f00b204e9800998ecf8427e', 'me@example.com', 'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
    'system:serviceaccount:payments:default', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', '12345678901234567890123456', 'jdbc:mysql://db1:3306/app?user=app',
  ])('accepts the text %s', (text) => {
    for (const [, put] of PLACES) expect(scan(put(text)).problems).toEqual([]);
  }); // biome-ignore format: a list of texts
});

describe('a template in a field named like a credential', () => {
  const templated = (text: string) =>
    scan(`mappings: [ { template: { data: { credentials: ${JSON.stringify(text)} } } } ]`);

  it.each(['[default]', '[profile prod]', '[aws-eu.1]'])(
    'accepts a template that begins with the section header %s',
    (head) => {
      expect(templated(`${head}\naws_secret_access_key={{ key }}\n`).problems).toEqual([]);
    },
  );

  it('the credential scan reports a template whose brackets contain a credential instead of a section header', () => {
    expect(templated('[s3cr3tpw9x]').problems).toHaveLength(1);
  });
});

describe('the credential scan', () => {
  it('the credential scan of a text takes linear time', () => {
    for (const text of ['a'.repeat(200_000), 'password'.repeat(20_000), '://a:'.repeat(40_000), '{{'.repeat(50_000), 'aB3'.repeat(60_000), '-----BEGIN '.repeat(20_000), '${'.repeat(80_000)]) {
      const start = performance.now();
      scan(JSON.stringify({ a: text }));
      expect(performance.now() - start).toBeLessThan(2_000);
    } // biome-ignore format: a list of texts
  });
});

describe('a file with very many suspected credentials', () => {
  /** A quadratic algorithm would take minutes for this number of texts. */
  const MANY = 20_000;
  const many = Array.from({ length: MANY }, (_, n) => `hunter2hunter-${n}-end`);

  it('the credential scan of a file with many suspected credentials in one line takes linear time', () => {
    const annotations = Object.fromEntries(many.map((text, n) => [`a${n}`, `password: ${text}`]));
    const { problems } = scan(JSON.stringify({ mappings: [{ target: { annotations } }] }));
    expect(problems).toHaveLength(MANY);
  });

  it('the credential scan of a line with very many comments takes linear time', () => {
    const line = `mappings: [ { target: { annotations: { password: hunter2hunter } } } ]${' #'.repeat(200_000)}`;
    expect(scan(line).problems).toHaveLength(1);
    expect(scan(`${line} secretbridge:allow`).problems).toEqual([]);
  });

  it('the problems that the credential scan reports show none of the suspected credentials', () => {
    const hide = createRedactor(new Set(many));
    const about = { file: 'f', line: 1, column: 1, code: 'CONFIG_INVALID' } as const;
    for (const text of many) {
      const path = `a["${text}"].b`;
      const shown = hide({
        ...about,
        path,
        message: `\`${text}\` and \`${text.slice(0, 16)}…\``,
        suggestion: text,
      });
      expect(shown).toEqual({
        ...about,
        path: 'a["[secret]"].b',
        message: '`[secret]` and `[secret]…`',
        suggestion: '[secret]',
      });
    }
  });
});

describe('the redacted message', () => {
  const hide = (message: string, ...fragments: readonly string[]) =>
    createRedactor(new Set(fragments))({
      file: 'f',
      line: 1,
      column: 1,
      path: '',
      code: 'CONFIG_INVALID',
      message,
    }).message;

  it.each([
    ['nothing', [], 'nothing'],
    ['abcdef', ['abcdef'], '[secret]'],
    ['abcdefg', ['abcdef', 'abcdefg'], '[secret]'],
    ['abcdefgh', ['abcdef'], '[secret]gh'],
    ['abcdefabcdef', ['abcdef'], '[secret][secret]'],
    ['aabcdef…', ['abcdefgh'], 'a[secret]…'],
    ['abcdef… abcde…', ['abcdefgh'], '[secret]… abcde…'],
    ['abcdefxx…', ['abcdefgh'], 'abcdefxx…'],
    ['abcdefgh…', ['abcdef', 'abcdefghij'], '[secret]…'],
    ['abcdefxx…', ['abcdef', 'abcdefghij'], '[secret]xx…'],
    ['abcde', ['abcdef'], 'abcde'],
  ])(
    'the message %j contains no fragment from the list %j after the redaction: %j',
    (message, fragments, expected) => {
      expect(hide(message, ...fragments)).toBe(expected);
    },
  );
});
