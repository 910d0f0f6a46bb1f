import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { openAzure } from './harness.ts';

describe('a secret in Key Vault', () => {
  it('keeps its bytes with any content type', async () => {
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

  it('has a version and a creation time in whole seconds', async () => {
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

  it.each([0, '', false, [], {}, 'x', 1e300])('can be read without a valid timestamp: %j', async (time) => {
    await using store = await openAzure();
    for (const name of ['a', 'b']) store.server.secrets.put(name, name);
    store.server.rewrite = (body) =>
      JSON.stringify({ ...JSON.parse(body), attributes: { enabled: true, created: time, updated: time } });
    expect((await store.provider.read([{ key: 'a' }, { key: 'b' }])).map(reveal)).toEqual(['a', 'b']);
  });

  it('is found by its name in any letter case', async () => {
    await using store = await openAzure();
    store.server.secrets.put('Db-Password', 'x');
    expect(reveal(await store.read('db-password'))).toBe('x');
  });

  it('is rejected if the response contains another secret', async () => {
    await using store = await openAzure();
    for (const name of ['a', 'b']) store.server.secrets.put(name, `of ${name}`);
    store.server.rewrite = (body) => body.replace('of a', 'of b').replace('/secrets/a/', '/secrets/b/');
    expect((await store.provider.read([{ key: 'a' }, { key: 'b' }])).map(codeOf)).toEqual([
      'BAD_ANSWER',
      'found',
    ]);
    expect(codeOf(await store.read('a', { object: 'certificate' }))).toBe('BAD_ANSWER');
  });

  it('is rejected if its value is not valid UTF-8', async () => {
    await using store = await openAzure();
    store.server.secrets.put('half', 'a\ud800b');
    expect(codeOf(await store.read('half'))).toBe('BAD_ANSWER');
  });

  it('can be read before and after its validity period', async () => {
    await using store = await openAzure();
    store.server.secrets.put('future', 'a', { notBefore: Date.now() + 86_400_000 });
    store.server.secrets.put('past', 'b', { expires: Date.now() - 86_400_000 });
    const results = await store.provider.read([{ key: 'future' }, { key: 'past' }]);
    expect(results.map(reveal)).toEqual(['a', 'b']);
  });

  it('is reported as disabled and not as denied, and another version may still be readable', async () => {
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

  it('is reported as recoverable after its deletion, and as absent once it is purged', async () => {
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
    'is neither absent nor gone if the vault itself is missing ("%s")',
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

  it('is reported as recoverable if it was disabled and then deleted', async () => {
    await using store = await openAzure();
    const { secrets } = store.server;
    secrets.put('a', '1', { enabled: false });
    secrets.remove('a');
    expect(codeOf(await store.read('a'))).toBe('SOURCE_DELETED');
    expect(codeOf(await store.read('a', { object: 'certificate' }))).toBe('SOURCE_DELETED');
  });

  it('is not reported as absent without permission to check deleted secrets', async () => {
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
    'is not reported as absent if the check for deleted secrets fails with "%s"',
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
  ] as const)('passes on the retry delay after "%s"', async (fault, least, most) => {
    await using store = await openAzure();
    store.server.fail(fault);
    const result = await store.read('a');
    const wait = result?.kind === 'failed' ? (result.error.retryAfterMs ?? -1) : -1;
    expect(wait).toBeGreaterThanOrEqual(least);
    expect(wait).toBeLessThanOrEqual(most);
  });

  it('is requested only once, without retries by the Azure client', async () => {
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
  ])('is reported with the cause if it cannot be read because of %s', async (inner, words) => {
    await using store = await openAzure();
    store.server.deny(/./, inner);
    const result = await store.read('a');
    expect(codeOf(result)).toBe('ACCESS_DENIED');
    expect(result).toMatchObject({ error: { detail: expect.stringContaining(words) } });
  });
});

describe('names and versions that cannot exist in Key Vault', () => {
  it('are rejected and never sent', async () => {
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

  it('is returned as the JWK that the vault sends', async () => {
    await using store = await openAzure();
    const first = store.server.keys.put('signer', JWK);
    const version = store.server.keys.put('signer', JWK.replace('0vx7', '1vx7'));
    const kid = `${store.server.address}/keys/signer/${first}`;
    expect(reveal(await store.read('signer', { object: 'key', version: first }))).toBe(
      JWK.replace('{', `{"kid":"${kid}",`),
    );
    expect(await store.read('signer', { object: 'key' })).toMatchObject({ kind: 'found', version });
  });

  it('is rejected if the response contains another key', async () => {
    await using store = await openAzure();
    store.server.keys.put('signer', JWK);
    store.server.rewrite = (body) => body.replace('/keys/signer/', '/keys/other/');
    expect(codeOf(await store.read('signer', { object: 'key' }))).toBe('BAD_ANSWER');
  });

  it('can be in the same states as a secret', async () => {
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

  it('stop at the first failure', async () => {
    await using store = await openAzure();
    expect(await names(store)).toEqual(['reach', 'login', 'read', 'list']);
    store.server.deny(/secrets/, 'ForbiddenByPolicy');
    expect(await names(store)).toEqual(['reach', 'login', 'read: ACCESS_DENIED']);
    store.server.fail('reset');
    expect(await names(store)).toEqual(['reach: STORE_UNAVAILABLE']);
  });

  it('distinguish between a failed login and an unreachable vault', async () => {
    await using refused = await openAzure({ deps: { env: { CLIENT_SECRET: 'wrong' } } });
    expect(await names(refused)).toEqual(['reach', 'login: AUTH_FAILED']);
    await using down = await openAzure();
    down.server.fail('unavailable', /^authority/);
    expect(await names(down)).toEqual(['reach', 'login: STORE_UNAVAILABLE']);
  });

  it('pass with a role for single secrets only', async () => {
    await using store = await openAzure();
    store.server.deny(/secretbridge-check|GET \/secrets$/);
    const checks = await store.provider.check();
    expect(checks.map(({ name }) => name.replace(/:.*/, ''))).toEqual(['reach', 'login', 'read', 'list']);
    // A permission that only saves requests may be missing.
    expect(checks.filter(({ error }) => error !== undefined)).toEqual([]);
    expect(checks.at(-1)).toMatchObject({ name: expect.stringContaining('not allowed'), saves: 'list' });
  });

  it('detect clock skew', async () => {
    const time = createManualTime(Date.now() - 3_600_000);
    await using store = await openAzure({ deps: { clock: time } });
    expect((await names(store))[0]).toBe('clock: CLOCK_SKEWED');
  });
});
