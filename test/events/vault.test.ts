import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Hint } from '../../src/events/hint.ts';
import { startVaultIntake } from '../../src/events/vault.ts';
import { VaultConfig } from '../../src/providers/vault/config.ts';
import { vault } from '../../src/providers/vault/index.ts';
import { testDeps } from '../conformance/provider-deps.ts';
import { eventText, hugeFrame, startVaultEvents } from '../fakes/vault-events.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import { waitUntil } from '../wait-until.ts';

interface World extends AsyncDisposable {
  readonly server: Awaited<ReturnType<typeof startVaultServer>>;
  readonly events: Awaited<ReturnType<typeof startVaultEvents>>;
  readonly keys: readonly string[];
  readonly skipped: readonly string[];
  readonly progress: readonly (AppError | undefined)[];
  /** The wait after each failure. */
  readonly waits: readonly number[];
  readonly env: Record<string, string>;
  connected(times?: number): Promise<void>;
}

/**
 * Opens a stream. Before each of the first `maxWaits` reconnects, the wait ends immediately. Later waits last until the
 * stream is closed.
 */
async function open(config: Readonly<Record<string, unknown>> = {}, maxWaits = 1_000): Promise<World> {
  const server = await startVaultServer();
  const events = await startVaultEvents(server);
  const env: Record<string, string> = {
    TOKEN: server.rootToken,
    ROLE_ID: server.appRole.roleId,
    SECRET_ID: server.appRole.secretId,
  };
  const parsed = VaultConfig.parse({
    kind: 'vault',
    address: events.address,
    auth: { method: 'token', token: { env: 'TOKEN' } },
    ...config,
  });
  const provider = await vault.create(parsed, testDeps({ env }));
  const keys: string[] = [];
  const other: string[] = [];
  const progress: (AppError | undefined)[] = [];
  const waits: number[] = [];
  const intake = startVaultIntake(
    {
      name: 'vault',
      store: 'team-vault',
      open: async () => provider,
      random: () => 1,
      async pause(ms, signal) {
        waits.push(ms);
        if (waits.length < maxWaits) return;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      },
    },
    {
      submit(hints: readonly Hint[]) {
        for (const hint of hints) keys.push(...hint.keys);
        expect(hints.every(({ store }) => store === 'team-vault')).toBe(true);
        return { targets: 1, unknown: 0 };
      },
      onSkipped: (outcome) => void other.push(outcome),
      onProgress: (error) => void progress.push(error),
    },
  );
  return {
    server,
    events,
    keys,
    skipped: other,
    progress,
    waits,
    env,
    connected: (times = 1) =>
      waitUntil(() => {
        expect(events.streams).toBe(1);
        expect(progress.filter((error) => error === undefined)).toHaveLength(times);
      }),
    async [Symbol.asyncDispose]() {
      await intake[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
      await events[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const APP_ROLE = {
  auth: { method: 'appRole', roleId: { env: 'ROLE_ID' }, secretId: { env: 'SECRET_ID' } },
};

describe('the Vault event stream', () => {
  it("the Vault event stream is opened with the store's login and namespace", async () => {
    await using world = await open({ namespace: 'admin/team', ...APP_ROLE });
    await world.connected();
    expect(world.events.handshakes).toEqual([
      {
        url: '/v1/sys/events/subscribe/kv*?json=true',
        token: [...world.server.tokens].at(-1),
        namespace: 'admin/team',
      },
    ]);
    expect(world.server.logins).toBe(1);
  });

  it('the Vault event stream submits the changed key for every kind of change', async () => {
    await using world = await open();
    await world.connected();
    const { events } = world;
    events.send('kv-v2/data-write', 'secret/data/payments/db');
    events.send('kv-v2/data-patch', 'secret/data/ümlaut/🔑');
    events.send('kv-v2/data-delete', 'secret/data/deleted');
    events.send('kv-v2/delete', 'secret/delete/versions');
    events.send('kv-v2/undelete', 'secret/undelete/back');
    events.send('kv-v2/destroy', 'secret/destroy/gone');
    events.send('kv-v2/metadata-delete', 'secret/metadata/data/data');
    await waitUntil(() => expect(world.keys).toHaveLength(7));
    expect(world.keys).toEqual([
      'payments/db',
      'ümlaut/🔑',
      'deleted',
      'versions',
      'back',
      'gone',
      'data/data',
    ]);
  });

  it('the Vault event stream submits keys of KV version 1', async () => {
    await using world = await open({ mount: 'kv1', kvVersion: 1 });
    await world.connected();
    world.events.send('kv-v1/write', 'kv1/data/x');
    world.events.send('kv-v1/delete', 'kv1/y');
    await waitUntil(() => expect(world.keys).toEqual(['data/x', 'y']));
  });

  it('the Vault event stream understands the event formats of older servers', async () => {
    await using world = await open({ namespace: 'ns1' });
    await world.connected();
    const metadata = (of: object) => ({ event: { metadata: of } });
    const { events } = world;
    events.send('kv-v2/data-delete', 'secret/data/a', metadata({ path: 'secret/data/a' }));
    events.send(
      'kv-v2/undelete',
      'secret/x',
      metadata({ path: 'secret/undelete/b', data_path: 'secret/data/b' }),
    );
    events.send('kv-v2/data-write', 'secret/x', { event: {}, metadata: { path: 'secret/data/c' } });
    events.send('kv-v2/data-write', 'secret/x', metadata({ data_path: 'ns1/secret/data/d' }));
    await waitUntil(() => expect(world.keys).toEqual(['a', 'b', 'c', 'd']));
  });

  it('the Vault event stream ignores events of other engines and malformed events, and stays open', async () => {
    await using world = await open();
    await world.connected();
    const { events } = world;
    events.send('kv-v2/data-write', 'other/data/x');
    events.send('kv-v2/config-write', 'secret/config');
    events.send('kv-v1/write', 'secret/data/x');
    events.send('database/rotate', 'secret/data/x');
    events.send('kv-v2/data-write', 'secret/data/');
    for (const text of ['', 'no JSON', '[]', 'null', '{"data":7}', '{"data":{"event_type":["kv-v2/"]}}'])
      events.sendText(text);
    events.send('kv-v2/data-write', 'secret/data/after');
    await waitUntil(() => expect(world.keys).toEqual(['after']));
    expect(world.skipped).toEqual(Array(11).fill('ignored'));
    expect(world.waits).toEqual([]);
  });

  it.each([
    ['cut', (world: World) => world.events.drop()],
    ['ended', (world: World) => world.events.end(1001)],
    ['no longer WebSocket', (world: World) => world.events.sendBytes(Buffer.from('HTTP/1.1 500\r\n\r\n'))],
    ['one frame that is too large', (world: World) => world.events.sendBytes(hugeFrame(2 ** 31))],
    ['masked', (world: World) => world.events.sendBytes(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 97]))],
  ])('the Vault event stream is opened again if it is %s', async (_, breakStream) => {
    await using world = await open();
    await world.connected();
    breakStream(world);
    await world.connected(2);
    world.events.send('kv-v2/data-write', 'secret/data/again');
    await waitUntil(() => expect(world.keys).toEqual(['again']));
    expect(world.progress.map((error) => error?.code)).toEqual([undefined, 'STORE_UNAVAILABLE', undefined]);
  });

  it('the Vault event stream is retried with increasing waits if it is cut right after it opens', async () => {
    await using world = await open({}, 9);
    for (let times = 1; times < 10; times += 1) {
      await world.connected(times);
      world.events.drop();
      await waitUntil(() => expect(world.waits).toHaveLength(times));
    }
    expect(world.waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((s) => s * 1_000));
  });

  it.each([
    [403, 'ACCESS_DENIED'],
    [404, 'CONFIG_INVALID'],
    [405, 'CONFIG_INVALID'],
  ])('the Vault event stream is retried slowly if the server returns %i', async (status, code) => {
    await using world = await open({}, 3);
    await waitUntil(() => expect(world.progress).not.toEqual([]));
    world.events.refuse = { status };
    world.events.drop();
    await waitUntil(() => expect(world.waits).toHaveLength(3));
    expect(world.waits.slice(1)).toEqual([120_000, 120_000]);
    const [, , error] = world.progress;
    expect(error?.code).toBe(code);
    expect(error?.message).toMatch(/Vault Enterprise/);
    expect(`${error?.message}${error?.cause}`).not.toContain('mArKeR');
  });

  it('the Vault event stream is retried like after an outage if the server is unhealthy', async () => {
    await using world = await open({}, 3);
    world.events.refuse = { status: 503 };
    world.events.drop();
    await waitUntil(() => expect(world.waits).toHaveLength(3));
    expect(world.progress.at(-1)).toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('the Vault event stream uses a new login if the token has expired', async () => {
    await using world = await open(APP_ROLE);
    await world.connected();
    world.server.revokeAll();
    world.events.drop();
    await world.connected(2);
    expect(world.server.logins).toBe(2);
    expect(world.events.handshakes).toHaveLength(3);
  });

  it('the Vault event stream follows a redirect from a standby to the active node, and sends the token there', async () => {
    await using world = await open({ namespace: 'ns1' });
    await using active = await startVaultEvents(world.server);
    await world.connected();
    world.events.refuse = {
      status: 307,
      location: `${active.address}/v1/sys/events/subscribe/kv*?json=true`,
    };
    world.events.drop();
    await waitUntil(() => expect(active.streams).toBe(1));
    active.send('kv-v2/data-write', 'secret/data/there');
    await waitUntil(() => expect(world.keys).toEqual(['there']));
    expect(active.handshakes).toMatchObject([{ token: world.server.rootToken, namespace: 'ns1' }]);
  });

  it.each([
    ['another path', '/login'],
    ['another protocol', 'https://127.0.0.1:1/v1/sys/events/subscribe/kv*?json=true'],
    ['nowhere', 'http://'],
    ['itself', '/v1/sys/events/subscribe/kv*?json=true'],
  ])('the Vault event stream does not send the token to the redirect target %s', async (_, location) => {
    await using world = await open({}, 2);
    await world.connected();
    world.events.refuse = { status: 307, location };
    world.events.drop();
    await waitUntil(() => expect(world.waits).toHaveLength(2));
    expect(world.progress.at(-1)).toMatchObject({ code: 'BAD_ANSWER' });
    expect(world.events.handshakes.length).toBeLessThanOrEqual(5);
  });

  it('the Vault event stream is closed immediately if the event source is disposed', async () => {
    const world = await open();
    await world.connected();
    await world[Symbol.asyncDispose]();
    expect(world.progress).toEqual([undefined]);
    expect(world.waits).toEqual([]);
  });
});

describe('a stream that was open for a while', () => {
  const closed = new AppError('STORE_UNAVAILABLE');
  type Progress = AppError['code'] | 'well';

  /** @param ends How each stream ends, in order. After these streams, one more stream opens and stays open. */
  async function follow(ends: readonly { readonly wasAlive: boolean; readonly error: AppError }[]) {
    const progress: Progress[] = [];
    const waits: number[] = [];
    const streams = ends.values();
    const over = Promise.withResolvers<void>();
    const intake = startVaultIntake(
      {
        name: 'vault',
        store: 'team-vault',
        random: () => 1,
        pause: async (ms) => void waits.push(ms),
        open: async () => ({
          async subscribe(listener, { signal } = {}) {
            const { value } = streams.next();
            if (value === undefined) {
              over.resolve();
              return new Promise<never>((_, reject) =>
                signal?.addEventListener('abort', () => reject(signal.reason)),
              );
            }
            if (value.wasAlive) {
              listener.onOpen();
              listener.onAlive();
            }
            throw value.error;
          },
        }),
      },
      {
        submit: () => ({ targets: 0, unknown: 0 }),
        onSkipped: () => undefined,
        onProgress: (error) => void progress.push(error?.code ?? 'well'),
      },
    );
    await over.promise;
    await intake[Symbol.asyncDispose]();
    return { progress, waits };
  }

  it('a stream that was open for a while is reopened soon and reports no failure if it ends together with its token', async () => {
    const { progress, waits } = await follow([
      { wasAlive: true, error: closed },
      { wasAlive: true, error: closed },
    ]);
    expect(new Set(progress)).toEqual(new Set(['well']));
    expect(waits).toEqual([1_000, 1_000]);
  });

  it('a stream that was open for a while reports a failure if the next stream does not stay open', async () => {
    const { progress } = await follow([
      { wasAlive: true, error: closed },
      { wasAlive: false, error: closed },
      { wasAlive: false, error: closed },
    ]);
    expect(progress.slice(-3)).toEqual(['well', 'STORE_UNAVAILABLE', 'STORE_UNAVAILABLE']);
  });

  it.each(['TIMEOUT', 'ACCESS_DENIED', 'CONFIG_INVALID'] as const)(
    'a stream that was open for a while reports a failure if it ends with %s',
    async (code) => {
      const { progress } = await follow([{ wasAlive: true, error: new AppError(code) }]);
      expect(progress.at(-1)).toBe(code);
    },
  );
});

it('the events that these tests send have the documented format', () => {
  expect(JSON.parse(eventText('kv-v2/data-write', 'secret/data/a'))).toMatchObject({ specversion: '1.0' });
});
