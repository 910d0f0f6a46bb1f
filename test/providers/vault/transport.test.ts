import { describe, expect, it } from 'vitest';
import { fromStatus } from '../../../src/providers/vault/errors.ts';
import { APP_ROLE, openVault } from './harness.ts';

describe('the connection to Vault', () => {
  it('sends the configured token and namespace, and ignores the environment variables of Vault', async () => {
    const before = { ...process.env };
    Object.assign(process.env, {
      VAULT_ADDR: 'http://127.0.0.1:1',
      VAULT_TOKEN: 'from-env',
      VAULT_NAMESPACE: 'from-env',
      VAULT_PREFIX: '/from-env',
      HTTP_PROXY: 'http://127.0.0.1:1',
    });
    try {
      await using store = await openVault({ config: { namespace: 'team/a' } });
      await store.read('a');
      await store.provider.check();
      for (const { path, headers } of store.proxy.requests) {
        expect(JSON.stringify([path, headers])).not.toContain('from-env');
        expect(headers['x-vault-namespace']).toBe(path.includes('sys/health') ? undefined : 'team/a');
        expect(headers['x-vault-token']).toBe(
          path.includes('sys/health') ? undefined : store.server.rootToken,
        );
      }
    } finally {
      process.env = before;
    }
  });

  it('sends requests about the token itself to the namespace of the login', async () => {
    await using store = await openVault({
      config: {
        namespace: 'admin/team',
        auth: { ...APP_ROLE.auth, namespace: 'admin' },
      },
    });
    await store.read('a');
    store.server.deny(/data/);
    await store.read('a');
    await store.provider[Symbol.asyncDispose]();
    expect(
      store.proxy.requests.map(({ path, headers }) => [
        path.replace('/v1/', ''),
        headers['x-vault-namespace'],
      ]),
    ).toEqual([
      ['auth/approle/login', 'admin'],
      ['secret/data/a', 'admin/team'],
      ['sys/internal/ui/mounts/secret', 'admin/team'],
      ['sys/health?standbyok=true&perfstandbyok=true', undefined],
      ['secret/data/a', 'admin/team'],
      ['auth/token/lookup-self', 'admin'],
      ['auth/token/revoke-self', 'admin'],
    ]);
  });

  it('rejects a redirect instead of following it', async () => {
    await using store = await openVault();
    store.proxy.set('redirect', /secret\/data/);
    const [result] = await store.provider.read([{ key: 'a' }]);
    expect(result).toMatchObject({
      error: { code: 'BAD_ANSWER', detail: expect.stringContaining('redirect') },
    });
  });

  it('passes on the delay that the server requests before a retry, in seconds or as a date', async () => {
    await using store = await openVault();
    const waits: (number | undefined)[] = [];
    for (const fault of [
      'throttled',
      'throttled, for 2 seconds',
      'throttled, in Latin-1',
      'throttled for an hour',
      'throttled until a date',
    ] as const) {
      store.proxy.set(fault, /secret\/data/);
      const [result] = await store.provider.read([{ key: 'a' }]);
      waits.push(result?.kind === 'failed' ? result.error.retryAfterMs : -1);
    }
    expect(waits.slice(0, 4)).toEqual([undefined, 2_000, 2_000, 3_600_000]);
    expect(waits[4]).toBeGreaterThanOrEqual(0);
    expect(waits[4]).toBeLessThanOrEqual(2_000);
  });
});

describe('the checks of a Vault store', () => {
  const names = async (store: Awaited<ReturnType<typeof openVault>>) =>
    (await store.provider.check()).map(({ name, error }) => `${name} ${error?.code ?? 'ok'}`);

  it('tells apart failures of the connection, the login and the mount', async () => {
    await using store = await openVault();
    expect(await names(store)).toEqual(['reach ok', 'login ok', 'mount ok']);
    store.proxy.set('reset');
    expect(await names(store)).toEqual(['reach STORE_UNAVAILABLE']);
    store.proxy.set('html');
    expect(await names(store)).toEqual(['reach BAD_ANSWER']);

    await using wrong = await openVault({ config: { mount: 'nowhere' } });
    expect(await names(wrong)).toEqual(['reach ok', 'login ok', 'mount ACCESS_DENIED']);
  });

  it.each([
    ['unavailable', 'status 503', undefined],
    ['unavailable, for 2 seconds', 'status 503', 2_000],
    ['sealed', 'it is sealed', undefined],
    ['sealed according to its health', 'it is sealed', undefined],
  ] as const)(
    'reports the server as unavailable if it is %s, with the detail: %s',
    async (fault, detail, retryAfterMs) => {
      await using store = await openVault();
      store.proxy.set(fault, /sys\/health/);
      const [reach] = await store.provider.check();
      expect(reach).toMatchObject({ name: 'reach', error: { code: 'STORE_UNAVAILABLE', detail } });
      expect(reach?.error?.retryAfterMs).toBe(retryAfterMs);
    },
  );

  it('reports clock skew in either direction, and still runs all further checks', async () => {
    await using store = await openVault();
    store.server.skewMs = 120_000;
    const [clock, reach] = await store.provider.check();
    expect(clock).toMatchObject({ name: 'clock', error: { detail: expect.stringContaining('behind') } });
    expect(reach).toEqual({ name: 'reach' });
    store.server.skewMs = -120_000;
    expect((await store.provider.check())[0]?.error?.detail).toContain('ahead');
  });
});

function answerOf(status: number, error: string) {
  const text = JSON.stringify({ errors: [error] });
  return { status, text, isJson: true, retryAfterMs: undefined, date: undefined };
}

describe('a Vault response with an error status', () => {
  it.each([
    [301, 'BAD_ANSWER'],
    [400, 'BAD_ANSWER'],
    [401, 'AUTH_FAILED'],
    [403, 'ACCESS_DENIED'],
    [412, 'STORE_UNAVAILABLE'],
    [418, 'BAD_ANSWER'],
    [429, 'THROTTLED'],
    [472, 'STORE_UNAVAILABLE'],
    [473, 'STORE_UNAVAILABLE'],
    [474, 'STORE_UNAVAILABLE'],
    [500, 'STORE_UNAVAILABLE'],
    [502, 'STORE_UNAVAILABLE'],
    [599, 'STORE_UNAVAILABLE'],
  ])('converts the status %i to %s', (status, code) => {
    expect(fromStatus(answerOf(status, 'x')).code).toBe(code);
  });

  it.each([
    [
      400,
      'Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service shortly.',
      'the mount is being upgraded to version 2',
    ],
    [
      400,
      'Waiting for the primary to upgrade from non-versioned to versioned data. This backend will be unavailable for a brief period and will resume service when the primary is finished.',
      'the mount is being upgraded to version 2',
    ],
    [
      503,
      'API access to this namespace has been locked by an administrator - "team/" must be unlocked to gain access.',
      'an administrator locked its namespace',
    ],
    [503, 'namespace is sealed', 'it is sealed'],
  ])('treats a response with the status %i and the message "%s" as an outage', (status, text, detail) => {
    expect(fromStatus(answerOf(status, text))).toMatchObject({ code: 'STORE_UNAVAILABLE', detail });
  });
});
