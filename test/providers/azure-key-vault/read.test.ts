import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openAzure } from './harness.ts';

describe('a secret in Key Vault', () => {
  it('keeps the bytes of a secret with any content type', async () => {
    await using store = await openAzure();
    const values = {
      'no-newline': 'a',
      newline: 'a\n',
      crlf: 'a\r\nb\r\n',
      nul: 'a\0b',
      bom: '\ufeffa',
      emoji: '👩‍🚀',
      json: '{"b": 1.10,\n "a": 123456789012345678}',
      large: 'x'.repeat(25 * 1024),
      base64: 'AAEC/w==',
      empty: '',
    };
    for (const [name, value] of Object.entries(values)) {
      store.server.secrets.put(name, value, { contentType: 'application/json; charset=utf-8' });
    }
    const results = await store.provider.read(Object.keys(values).map((key) => ({ key })));
    expect(results.map(reveal)).toEqual(Object.values(values));
  });

  it('returns the version of a secret, and its creation time in whole seconds', async () => {
    const time = createManualTime(1_800_000_000_700);
    await using store = await openAzure({ server: { now: time.now }, deps: { clock: time } });
    const first = store.server.secrets.put('a', '1');
    time.set(1_800_000_100_000);
    const second = store.server.secrets.put('a', '2');
    expect(await store.read('a')).toMatchObject({ version: second, createdAt: 1_800_000_100_000 });
    const old = await store.read('a', { version: first });
    expect(reveal(old)).toBe('1');
    expect(old).toMatchObject({ version: first, createdAt: 1_800_000_000_000 });
  });

  it.each([0, '', false, [], {}, 'x', 1e300])(
    'reads a secret whose timestamps are invalid: %j',
    async (time) => {
      await using store = await openAzure();
      for (const name of ['a', 'b']) store.server.secrets.put(name, name);
      store.server.rewrite = (body) =>
        JSON.stringify({ ...JSON.parse(body), attributes: { enabled: true, created: time, updated: time } });
      expect((await store.provider.read([{ key: 'a' }, { key: 'b' }])).map(reveal)).toEqual(['a', 'b']);
    },
  );

  it('finds a secret by its name in any letter case', async () => {
    await using store = await openAzure();
    store.server.secrets.put('Db-Password', 'x');
    expect(reveal(await store.read('db-password'))).toBe('x');
  });

  it('rejects a response that contains a secret that was not requested', async () => {
    await using store = await openAzure();
    for (const name of ['a', 'b']) store.server.secrets.put(name, `of ${name}`);
    store.server.rewrite = (body) => body.replace('of a', 'of b').replace('/secrets/a/', '/secrets/b/');
    expect((await store.provider.read([{ key: 'a' }, { key: 'b' }])).map(codeOf)).toEqual([
      'BAD_ANSWER',
      'found',
    ]);
    expect(codeOf(await store.read('a', { object: 'certificate' }))).toBe('BAD_ANSWER');
  });

  it('rejects a secret whose value is not valid UTF-8', async () => {
    await using store = await openAzure();
    store.server.secrets.put('half', 'a\ud800b');
    expect(codeOf(await store.read('half'))).toBe('BAD_ANSWER');
  });

  it('reads a secret before and after its validity period', async () => {
    await using store = await openAzure();
    store.server.secrets.put('future', 'a', { notBefore: Date.now() + 86_400_000 });
    store.server.secrets.put('past', 'b', { expires: Date.now() - 86_400_000 });
    const results = await store.provider.read([{ key: 'future' }, { key: 'past' }]);
    expect(results.map(reveal)).toEqual(['a', 'b']);
  });

  it('reports a disabled secret as disabled and not as denied, and reads another version that is enabled', async () => {
    await using store = await openAzure();
    const { secrets } = store.server;
    const first = secrets.put('a', '1');
    const second = secrets.put('a', '2');
    secrets.update('a', { enabled: false });
    expect(codeOf(await store.read('a'))).toBe('SOURCE_DISABLED');
    expect(codeOf(await store.read('a', { version: second }))).toBe('SOURCE_DISABLED');
    expect(reveal(await store.read('a', { version: first }))).toBe('1');
    store.server.deny(/secrets\/a/, 'ForbiddenByPolicy');
    expect(codeOf(await store.read('a'))).toBe('ACCESS_DENIED');
  });

  it('reports a deleted secret as recoverable, and a purged secret as absent', async () => {
    await using store = await openAzure();
    const { secrets } = store.server;
    const version = secrets.put('a', '1');
    secrets.remove('a');
    expect(codeOf(await store.read('a'))).toBe('SOURCE_DELETED');
    expect(codeOf(await store.read('a', { version }))).toBe('VERSION_GONE');
    secrets.recover('a');
    expect(reveal(await store.read('a'))).toBe('1');
    secrets.remove('a');
    secrets.purge('a');
    expect(await store.read('a')).toEqual({ kind: 'absent' });
  });

  it.each(['no such vault', 'no such resource'] as const)(
    'reports a secret neither as absent nor as gone if the whole vault is missing ("%s")',
    async (fault) => {
      await using store = await openAzure();
      const version = store.server.secrets.put('a', '1');
      store.server.keys.put('k', '{"kty":"oct"}');
      await store.read('a');
      store.server.fail(fault);
      expect(codeOf(await store.read('a'))).toBe('BAD_ANSWER');
      expect(codeOf(await store.read('a', { version }))).toBe('BAD_ANSWER');
      expect(codeOf(await store.read('a', { object: 'certificate' }))).toBe('BAD_ANSWER');
      expect(codeOf(await store.read('k', { object: 'key' }))).toBe('BAD_ANSWER');
      expect((await store.provider.check()).find(({ error }) => error !== undefined)).toMatchObject({
        name: 'reach',
        error: { code: 'BAD_ANSWER', detail: expect.stringContaining('does the vault still exist') },
      });
    },
  );

  it('reports a secret as recoverable if it was first disabled and then deleted', async () => {
    await using store = await openAzure();
    const { secrets } = store.server;
    secrets.put('a', '1', { enabled: false });
    secrets.remove('a');
    expect(codeOf(await store.read('a'))).toBe('SOURCE_DELETED');
    expect(codeOf(await store.read('a', { object: 'certificate' }))).toBe('SOURCE_DELETED');
  });

  it('does not report a disabled and deleted secret as absent if the vault denies it like a missing permission', async () => {
    await using store = await openAzure();
    store.server.secrets.put('a', '1', { enabled: false });
    store.server.secrets.remove('a');
    store.server.deletedDisabled = 'AccessDenied';
    const result = await store.read('a');
    expect(codeOf(result)).toBe('ACCESS_DENIED');
    expect(result).toMatchObject({ error: { detail: expect.stringContaining('disabled and deleted') } });
  });

  it('does not report a secret as absent without the permission to look for deleted secrets', async () => {
    await using store = await openAzure();
    store.server.deny(/deletedsecrets/);
    const result = await store.read('a');
    expect(codeOf(result)).toBe('ACCESS_DENIED');
    expect(result).toMatchObject({ error: { detail: expect.stringContaining('deleted') } });
  });

  it.each([
    ['not found, in HTML', 'BAD_ANSWER'],
    ['not found at another host', 'BAD_ANSWER'],
    ['no such vault', 'BAD_ANSWER'],
    ['no such resource', 'BAD_ANSWER'],
    ['bad request', 'BAD_ANSWER'],
    ['unavailable', 'STORE_UNAVAILABLE'],
    ['throttled', 'THROTTLED'],
    ['hang', 'TIMEOUT'],
    ['cut', 'STORE_UNAVAILABLE'],
    ['html', 'BAD_ANSWER'],
    ['another JSON', 'BAD_ANSWER'],
  ] as const)(
    'does not report a secret as absent if the request for a deleted secret fails with "%s"',
    async (fault, code) => {
      await using store = await openAzure();
      store.server.fail(fault, /deletedsecrets/);
      expect(codeOf(await store.read('a'))).toBe(code);
    },
  );

  it.each([
    ['throttled, for 2 seconds', 2_000, 2_000],
    ['throttled until a date', 1, 2_000],
    ['throttled, in Latin-1', 2_000, 2_000],
  ] as const)(
    'passes on the delay that the vault requests before a retry, after the fault "%s"',
    async (fault, least, most) => {
      await using store = await openAzure();
      store.server.fail(fault);
      const result = await store.read('a');
      const wait = result?.kind === 'failed' ? (result.error.retryAfterMs ?? -1) : -1;
      expect(wait).toBeGreaterThanOrEqual(least);
      expect(wait).toBeLessThanOrEqual(most);
    },
  );

  it('sends each request only once, because the Azure client does not retry', async () => {
    await using store = await openAzure();
    store.server.secrets.put('a', '1');
    await store.read('a');
    for (const fault of ['server error', 'throttled', 'reset', 'unavailable'] as const) {
      store.sent();
      store.server.fail(fault);
      await store.read('a');
      expect(store.sent()).toEqual(['vault GET /secrets/a']);
    }
  });

  it.each([
    ['ForbiddenByFirewall', 'firewall'],
    ['ForbiddenByConnection', 'public network'],
    ['ForbiddenByRbac', 'role assignment'],
    ['ForbiddenByPolicy', 'access policy'],
  ])('names the cause in the error if the vault denies a read with %s', async (inner, words) => {
    await using store = await openAzure();
    store.server.deny(/./, inner);
    const result = await store.read('a');
    expect(codeOf(result)).toBe('ACCESS_DENIED');
    expect(result).toMatchObject({ error: { detail: expect.stringContaining(words) } });
  });
});

describe('names and versions that cannot exist in Key Vault', () => {
  it('rejects a name or version that cannot exist in Key Vault, and never sends it', async () => {
    await using store = await openAzure();
    const name = fc.string({ unit: 'binary' }).filter((text) => !/^[0-9a-zA-Z-]{1,127}$/.test(text));
    const names = fc.oneof(
      name,
      fc.constantFrom('a/b', 'a.b', 'a_b', 'a?b', '..', 'a%2f', 'a'.repeat(128), 'a\n'),
    );
    await fc.assert(
      fc.asyncProperty(names, async (key) => {
        expect(codeOf(await store.read(key))).toBe('CONFIG_INVALID');
        if (key !== '')
          expect(codeOf(await store.read('a', { version: key.replace(/\w/g, '-') }))).toBe('CONFIG_INVALID');
      }),
    );
    expect(store.sent()).toEqual([]);
  });
});

describe('a Key Vault key', () => {
  const JWK = '{"kty":"RSA","key_ops":["sign","verify"],"n":"0vx7-_w","e":"AQAB","x":1.10}';

  it('returns a key as the JSON Web Key that the vault sends', async () => {
    await using store = await openAzure();
    const first = store.server.keys.put('signer', JWK);
    const version = store.server.keys.put('signer', JWK.replace('0vx7', '1vx7'));
    const kid = `${store.server.address}/keys/signer/${first}`;
    expect(reveal(await store.read('signer', { object: 'key', version: first }))).toBe(
      JWK.replace('{', `{"kid":"${kid}",`),
    );
    expect(await store.read('signer', { object: 'key' })).toMatchObject({ kind: 'found', version });
  });

  it('rejects a response that contains a key that was not requested', async () => {
    await using store = await openAzure();
    store.server.keys.put('signer', JWK);
    store.server.rewrite = (body) => body.replace('/keys/signer/', '/keys/other/');
    expect(codeOf(await store.read('signer', { object: 'key' }))).toBe('BAD_ANSWER');
  });

  it('reports disabled, deleted and purged keys in the same way as secrets', async () => {
    await using store = await openAzure();
    const { keys } = store.server;
    expect(await store.read('signer', { object: 'key' })).toEqual({ kind: 'absent' });
    const version = keys.put('signer', JWK);
    keys.update('signer', { enabled: false });
    expect(codeOf(await store.read('signer', { object: 'key' }))).toBe('SOURCE_DISABLED');
    keys.remove('signer');
    expect(codeOf(await store.read('signer', { object: 'key' }))).toBe('SOURCE_DELETED');
    expect(codeOf(await store.read('signer', { object: 'key', version }))).toBe('VERSION_GONE');
    store.server.fail('another JSON', /\/keys/);
    expect(codeOf(await store.read('signer', { object: 'key' }))).toBe('BAD_ANSWER');
  });
});

describe('the checks of a Key Vault store', () => {
  const names = async (store: Awaited<ReturnType<typeof openAzure>>) =>
    (await store.provider.check()).map(({ name, error }) =>
      error === undefined ? name : `${name}: ${error.code}`,
    );

  it('runs no further checks after the first failure', async () => {
    await using store = await openAzure();
    expect(await names(store)).toEqual(['reach', 'login', 'read', 'list']);
    store.server.deny(/secrets/, 'ForbiddenByPolicy');
    expect(await names(store)).toEqual(['reach', 'login', 'read: ACCESS_DENIED']);
    store.server.fail('reset');
    expect(await names(store)).toEqual(['reach: STORE_UNAVAILABLE']);
  });

  it('tells a failed login from an unreachable vault', async () => {
    await using refused = await openAzure({ deps: { env: { CLIENT_SECRET: 'wrong' } } });
    expect(await names(refused)).toEqual(['reach', 'login: AUTH_FAILED']);
    await using down = await openAzure();
    down.server.fail('unavailable', /^authority/);
    expect(await names(down)).toEqual(['reach', 'login: STORE_UNAVAILABLE']);
  });

  it('passes the checks with a role that covers only single secrets', async () => {
    await using store = await openAzure();
    store.server.deny(/secretbridge-check|GET \/secrets$/);
    const checks = await store.provider.check();
    expect(checks.map(({ name }) => name.replace(/:.*/, ''))).toEqual(['reach', 'login', 'read', 'list']);
    // The permission to list is optional, because it only saves requests. The checks therefore pass without the
    // permission.
    expect(checks.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(checks.at(-1)).toMatchObject({ name: expect.stringContaining('not allowed'), saves: 'list' });
  });

  it('reports clock skew if our clock is an hour behind', async () => {
    const time = createManualTime(Date.now() - 3_600_000);
    await using store = await openAzure({ deps: { clock: time } });
    expect((await names(store))[0]).toBe('clock: CLOCK_SKEWED');
  });
});
