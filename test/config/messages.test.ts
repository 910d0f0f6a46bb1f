import { describe, expect, it } from 'vitest';
import { HEAD, linesOf, loadText, VALID } from './memory-fs.ts';

const SAYS = 'a reference such as `{ env: NAME }`, `{ file: PATH }` or `{ secretRef: { name, key } }`';

/** Returns the problems of a minimal file with additional sections. */
async function head(more: string): Promise<readonly string[]> {
  return linesOf(await loadText(`${HEAD}${more}\n`)).map((line) => line.replace(/^\d+:\d+ /, ''));
}

async function vault(fields: string): Promise<readonly string[]> {
  return head(`stores:\n  - { name: v, kind: vault, ${fields} }`);
}

async function source(fields: string): Promise<readonly string[]> {
  return (await vaultWith(`data: { A: { ${fields} } }`)).map((line) =>
    line.replace('mappings[0].data.A', ''),
  );
}

function vaultWith(mapping: string): Promise<readonly string[]> {
  return head(
    `stores: [ { name: v, kind: files, path: x } ]\nmappings: [ { name: m, target: { namespace: a }, ${mapping} } ]`,
  );
}

describe('an error message', () => {
  it.each([
    [
      'log: { level: loud }',
      'log.level CONFIG_INVALID: expected `error`, `warn`, `info` or `debug`, got other text',
    ],
    [
      'log: { level: 3 }',
      'log.level CONFIG_INVALID: expected `error`, `warn`, `info` or `debug`, got a number',
    ],
    [
      'log: { level: inof }',
      'log.level CONFIG_INVALID: expected `error`, `warn`, `info` or `debug`, got other text — did you mean `info`?',
    ],
    ['log: text', 'log CONFIG_INVALID: expected an object, got text'],
    ['log:', 'log CONFIG_INVALID: expected an object, got nothing'],
    [
      'engine: redis',
      'engine CONFIG_INVALID: expected an object, got text — did you mean `{ kind: redis }`?',
    ],
    [
      'audit: { store: Sqlite }',
      'audit.store CONFIG_INVALID: expected an object, got text — did you mean `{ kind: sqlite }`?',
    ],
    ['cluster: local', 'cluster CONFIG_INVALID: expected an object, got text'],
    [
      'http: { listen: 8080 }',
      'http.listen CONFIG_INVALID: expected host:port, such as 127.0.0.1:8080, got a number',
    ],
    [
      'audit: { stdout: "true" }',
      'audit.stdout CONFIG_INVALID: expected true or false, got text — write it without quotes',
    ],
    [
      'audit: { stdout: Yes }',
      'audit.stdout CONFIG_INVALID: expected true or false, got text — did you mean `true`?',
    ],
    [
      'audit: { stdout: off }',
      'audit.stdout CONFIG_INVALID: expected true or false, got text — did you mean `false`?',
    ],
    [
      'brake: { share: "0.2" }',
      'brake.share CONFIG_INVALID: expected a number from 0 to 1, got text — write it without quotes',
    ],
    [
      'restarts: { atOnce: "3" }',
      'restarts.atOnce CONFIG_INVALID: expected a whole number from 1 to 1000, got text — write it without quotes',
    ],
    ['stores: {}', 'stores CONFIG_INVALID: expected a list, got an object'],
    [
      'formerInstances: [1]',
      'formerInstances[0] CONFIG_INVALID: expected text, got a number; put it in quotes',
    ],
    [
      'engine: { kind: memory, concurrency: many }',
      'engine.concurrency CONFIG_INVALID: expected a whole number from 1 to 1000, got text',
    ],
    [
      'engine: { kind: memory, concurrency: 0 }',
      'engine.concurrency CONFIG_INVALID: expected a whole number from 1 to 1000, got another number',
    ],
    [
      'engine: { kind: memory, concurrency: 1.5 }',
      'engine.concurrency CONFIG_INVALID: expected a whole number from 1 to 1000, got another number',
    ],
    [
      'engine: { kind: memry }',
      'engine.kind CONFIG_INVALID: expected `memory` or `redis`, got other text — did you mean `memory`?',
    ],
    ['engine: { concurrency: 3 }', 'engine.kind CONFIG_INVALID: is missing; expected `memory` or `redis`'],
    ['brake: { share: 10 }', 'brake.share CONFIG_INVALID: expected a number from 0 to 1, got another number'],
    [
      'brake: { window: 10 }',
      'brake.window CONFIG_INVALID: expected a duration such as 30s, 5m, 1h30m or 90d, got a number',
    ],
    [
      'brake: { window: -5m }',
      'brake.window CONFIG_INVALID: expected a duration such as 30s, 5m, 1h30m or 90d, got other text',
    ],
    ...['1w', '5M', '5 m', 'PT5M'].map((window) => [
      `brake: { window: ${window} }`,
      'brake.window CONFIG_INVALID: expected a duration such as 30s, 5m, 1h30m or 90d, got other text',
    ]),
    [
      'brake: { window: 0s }',
      'brake.window CONFIG_INVALID: expected a duration of more than zero and at most 3650d',
    ],
    [
      'defaults: { onConflict: yes }',
      'defaults.onConflict CONFIG_INVALID: expected `refuse`, `adopt` or `adoptAndDropOwner`, got other text',
    ],
    ['mapings: []', 'mapings CONFIG_INVALID: unknown key `mapings` — did you mean `mappings`?'],
    [
      'mappings: [ { name: m, data: { A: { store: s, key: k } } } ]\nstores: [ { name: s, kind: files, path: x } ]',
      'mappings[0].target CONFIG_INVALID: is missing; expected an object',
    ],
  ])('the loader names the expected value in the error for %s', async (more, line) => {
    expect(await head(more)).toEqual([line]);
  });

  it('the loader points to the key if the key is unknown, and to the value for any other mistake', async () => {
    const lines = linesOf(
      await loadText(VALID.replace('property', 'propety').replace('payments }', 'Payments }')),
    );
    expect(lines).toEqual([
      '11:26 mappings[0].target.namespace CONFIG_INVALID: expected a name of a-z, 0-9 and `-`, 1 to 63 characters, with a letter or digit at both ends; `P` (U+0050) is not allowed — did you mean `payments`?',
      '13:59 mappings[0].data.DB_PASSWORD.propety CONFIG_INVALID: unknown key `propety` — did you mean `property`?',
    ]);
  });

  it('the loader reports every mistake in one run, sorted by line', async () => {
    const lines = linesOf(
      await loadText('instance: X\nlog: { level: x }\nmappings:\n  - { name: Y }\n  - 3\n'),
    );
    expect(lines.map((line) => line.split(' ')[1])).toEqual([
      'apiVersion',
      'instance',
      'log.level',
      'mappings[0]',
      'mappings[0].target',
      'mappings[0].name',
      'mappings[1]',
    ]);
  });

  it('the loader reports which character of a name is invalid, even if it looks like a valid character', async () => {
    const [line] = linesOf(await loadText(VALID.replace('name: payments-db', 'name: p\u0430yments-db')));
    expect(line).toContain('`\u0430` (U+0430, Cyrillic) is not allowed');
    const [invisible] = linesOf(await loadText(VALID.replace('name: payments-db', 'name: "pay\u200bments"')));
    expect(invisible).toContain('the character (U+200B) is not allowed');
  });

  it('shows no terminal control characters in an error message', async () => {
    const text = (await head('"\\e[31mred\\u202e": 1')).join();
    expect(text).toContain('\\u{1B}');
    expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});

describe('a source', () => {
  it.each([
    ['store: v, key: k, property: ""', '.property CONFIG_INVALID: expected non-empty text, got empty text'],
    ['store: v, key: ""', '.key CONFIG_INVALID: expected non-empty text, got empty text'],
    ['store: v', '.key CONFIG_INVALID: is missing; expected text'],
    [
      'store: v, key: k, decode: base32',
      '.decode CONFIG_INVALID: expected `base64`, `base64url` or `hex`, got other text — did you mean `base64`?',
    ],
    ['store: w, key: k', '.store CONFIG_INVALID: there is no store `w`'],
    [
      'store: v, key: k, version: 1.5',
      '.version CONFIG_INVALID: expected a version as text (put a long number in quotes), got a number',
    ],
    [
      'store: v, key: k, version: 12345678901234567890',
      '.version CONFIG_INVALID: expected a version as text (put a long number in quotes), got a number',
    ],
    [
      'store: v, key: k, object: key',
      '.object CONFIG_INVALID: expected a store of kind `azure-key-vault`: other kinds have no `object`',
    ],
  ])('rejects the source { %s }', async (fields, line) => {
    expect(await source(fields)).toEqual([` ${line}`.trim().replace(/^\./, '.')]);
  });

  it.each([
    ['{ match: "(", to: a }', '[0].match', 'a regular expression without look-around and back-references'],
    ['{ match: "(a)", to: "$2" }', '[0].to', 'a text with groups of `match`, such as `$1`, and `$$` for `$`'],
    ['{ match: "", to: a }', '[0].match', 'non-empty text'],
    ['{ match: a }', '[0].to', 'text'],
  ])('rejects the pattern %s of a rename', async (pattern, at, expected) => {
    const [line, ...more] = await vaultWith(
      `dataFrom: [ { store: v, key: k, rename: { patterns: [ ${pattern} ] } } ]`,
    );
    expect(line).toContain(`.dataFrom[0].rename.patterns${at} CONFIG_INVALID: `);
    expect(line).toContain(`expected ${expected}`);
    expect(more).toEqual([]);
  });

  it('the loader checks a source even if a field of its mapping is invalid', async () => {
    const lines = await vaultWith('data: { A: { store: w, key: 1 } }');
    expect(lines).toHaveLength(2);
  });
});

describe('a store entry', () => {
  it('the loader reports a store whose address, login or engine has the wrong type', async () => {
    const token = 'auth: { method: token, token: { env: A } }';
    expect(await vault(`address: vault.internal, ${token}`)).toEqual([
      'stores[0].address CONFIG_INVALID: expected an address such as https://vault.internal:8200, got other text',
    ]);
    expect(await vault('address: https://v, auth: approle')).toEqual([
      'stores[0].auth CONFIG_INVALID: expected an object, got text — did you mean `{ method: appRole }`?',
    ]);
    expect(await vault(`address: https://v, kvVersion: "1", ${token}`)).toEqual([
      'stores[0].kvVersion CONFIG_INVALID: expected `1` or `2`, got other text — write it without quotes',
    ]);
  });

  it.each([
    ['stores: { v: { kind: files, path: x } }', 'stores CONFIG_INVALID: expected a list, got an object'],
    ['stores: [ { kind: files, path: x } ]', 'stores[0].name CONFIG_INVALID: is missing; expected text'],
    [
      'stores: [ { name: 1, kind: files, path: x } ]',
      'stores[0].name CONFIG_INVALID: expected text, got a number; put it in quotes',
    ],
  ])(
    'the loader reports no unknown stores if the name of a store is missing or invalid: %s',
    async (stores, line) => {
      const uses = `mappings: [ { name: m, target: { namespace: a }, data: { A: { store: v, key: k } } } ]
events: { webhooks: [ { name: w, stores: [v], secret: { env: A } } ] }`;
      expect(await head(`${stores}\n${uses}`)).toEqual([line]);
    },
  );
});

describe('a credential', () => {
  const at = 'stores[0].auth';
  it.each([
    [
      'method: token, token: hvs.MARKER',
      `${at}.token CONFIG_INVALID: a configuration must not contain credentials; write ${SAYS} instead`,
    ],
    [
      'method: token, token: 1234567890',
      `${at}.token CONFIG_INVALID: a configuration must not contain credentials; write ${SAYS} instead`,
    ],
    [
      'method: token, token: { MARKER }',
      `${at}.token CONFIG_INVALID: expected ${SAYS}, with exactly one of the three`,
    ],
    [
      'method: token, token: { env: A, MARKER: b }',
      `${at}.token CONFIG_INVALID: expected ${SAYS}, with exactly one of the three`,
    ],
    [
      'method: token, token: { secretRef: { name: a, key: b, MARKER: c } }',
      `${at}.token.secretRef CONFIG_INVALID: expected ${SAYS}, with exactly one of the three`,
    ],
    [
      'method: token, token: { secretRef: { name: a, kye: b } }',
      `${at}.token.secretRef.key CONFIG_INVALID: is missing; expected text`,
    ],
    [
      'method: appRole, roleId: { env: A, MARKER: b }, secretId: { env: A }',
      `${at}.roleId CONFIG_INVALID: expected ${SAYS}, with exactly one of the three`,
    ],
    [
      'method: token, token: [ MARKER ]',
      `${at}.token CONFIG_INVALID: expected ${SAYS}, with exactly one of the three`,
    ],
    [
      'method: token, token: { env: hvs.MARKER }',
      `${at}.token.env CONFIG_INVALID: expected the name of an environment variable: letters, digits and \`_\``,
    ],
    [
      'method: token, token: { env: 5 }',
      `${at}.token.env CONFIG_INVALID: expected text, got a number; put it in quotes`,
    ],
    [
      'method: token, token: { secretRef: { name: MARKER } }',
      `${at}.token.secretRef.key CONFIG_INVALID: is missing; expected text`,
    ],
    ['method: token', `${at}.token CONFIG_INVALID: is missing; expected ${SAYS}`],
    [
      'method: appRole, roleId: 5, secretId: { env: A }',
      `${at}.roleId CONFIG_INVALID: expected text, or ${SAYS}, got a number`,
    ],
    [
      'method: appRole, roleId: a, secretId: MARKER',
      `${at}.secretId CONFIG_INVALID: a configuration must not contain credentials; write ${SAYS} instead`,
    ],
  ])('rejects a credential in { %s } without showing it', async (auth, line) => {
    const lines = await vault(`address: https://v, auth: { ${auth} }`);
    expect(lines).toEqual([line]);
    expect(lines.join()).not.toContain('MARKER');
  });

  it('rejects a credential in { %s } without showing it', async () => {
    const lines = await vault('address: "https://ann:MARKER@v", auth: { method: token, token: { env: A } }');
    expect(lines).toEqual([
      'stores[0].address CONFIG_INVALID: expected an address without user, password, query or fragment',
    ]);
  });

  it.each([
    'http: { tokens: [ { name: a, role: viewer, token: MARKER } ] }',
    'engine: { kind: redis, url: "redis://:MARKER@h" }\nkeys: { fingerprint: [ { env: A } ] }',
    'audit: { store: { kind: postgres, url: "postgres://u:MARKER@h/d" } }\nkeys: { fingerprint: [ MARKER ] }',
    'events: { webhooks: [ { name: a, stores: [v], secret: MARKER } ], eventGrid: [ { name: a, store: v, key: MARKER } ] }',
    'tracing: { otlp: { endpoint: https://x, headers: { authorization: MARKER } } }',
    'stores: [ { name: a, kind: aws-secrets-manager, region: eu-west-1, auth: { method: static, accessKeyId: MARKER, secretAccessKey: MARKER, sessionToken: MARKER } } ]',
    'stores: [ { name: a, kind: azure-key-vault, vaultUrl: https://x, auth: { method: clientSecret, tenantId: t, clientId: c, clientSecret: MARKER } } ]',
    'stores: [ { name: a, kind: azure-key-vault, vaultUrl: https://x, auth: { method: clientCertificate, tenantId: t, clientId: c, certificate: MARKER } } ]',
    ...['userpass', 'ldap'].map(
      (method) =>
        `stores: [ { name: a, kind: vault, address: https://v, auth: { method: ${method}, username: u, password: MARKER } } ]`,
    ),
    'stores: [ { name: a, kind: vault, address: https://v, auth: { method: jwt, role: r, jwt: MARKER } } ]',
  ])('rejects a credential where a reference is expected: %s', async (text) => {
    const lines = await head(text);
    expect(lines.filter((line) => line.includes('must not contain credentials'))).toHaveLength(
      text.split('MARKER').length - 1,
    );
    expect(lines.join()).not.toContain('MARKER');
  });
});

describe('the address of a store', () => {
  const auth = 'auth: { method: token, token: { env: A } }';
  it('accepts plain http for a store only on loopback, or if the store has `allowHttp`', async () => {
    expect(await vault(`address: http://vault:8200, ${auth}`)).toHaveLength(1);
    expect(await vault(`address: http://127.0.0.1:8200, ${auth}`)).toEqual([]);
    expect(await vault(`address: http://localhost, ${auth}`)).toEqual([]);
    expect(await vault(`address: "http://[::1]:1", ${auth}`)).toEqual([]);
    expect(await vault(`address: http://vault:8200, allowHttp: true, ${auth}`)).toEqual([]);
    expect(await vault(`address: http://localhost.evil.example, ${auth}`)).toHaveLength(1);
    const endpoint =
      'stores: [ { name: a, kind: aws-secrets-manager, region: eu-west-1, endpoint: http://x } ]';
    expect((await head(endpoint)).join()).toContain('stores[0].endpoint CONFIG_INVALID: expected https;');
  });
});
