import { expect, it, vi } from 'vitest';
import { createStores } from '../../src/app/stores.ts';
import { StoreConfig } from '../../src/config/schema.ts';
import { systemClock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { startVaultEvents } from '../fakes/vault-events.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import { soon } from '../soon.ts';

async function open() {
  const server = await startVaultServer();
  const events = await startVaultEvents(server);
  const env: Record<string, string> = { TOKEN: server.rootToken };
  const states: string[] = [];
  const calls: string[] = [];
  const team = {
    kind: 'vault',
    name: 'team',
    address: events.address,
    auth: { method: 'token', token: { env: 'TOKEN' } },
    limits: { concurrency: 1 },
  };
  const stores = createStores(
    [team, { kind: 'files', name: 'local', path: '/nowhere' }].map((store) => StoreConfig.parse(store)),
    {
      clock: systemClock,
      fingerprints: createFingerprinter(SecretValue.fromBytes(Buffer.alloc(32, 7))),
      credential: (reference) => resolveCredential(reference, { env }),
      observe: {
        onCall: ({ operation, outcome }) => calls.push(`${operation} ${outcome}`),
        onState: (store, state) => states.push(`${store} ${state}`),
      },
    },
  );
  server.put('secret', 'k', '{"a":1}');
  return {
    server,
    events,
    env,
    stores,
    states,
    calls,
    /** Follows until the signal ends it; gives how it ended. */
    follow(name = 'team', signal?: AbortSignal) {
      const listener = { onOpen: vi.fn(), onAlive: vi.fn(), onMessage: vi.fn() };
      const work = async () => (await stores.open(name)).subscribe?.(listener, signal && { signal });
      const ended = Promise.allSettled([work()]).then(([result]) =>
        result.status === 'rejected' && result.reason instanceof AppError ? result.reason.code : result,
      );
      return { listener, ended };
    },
    async [Symbol.asyncDispose]() {
      await stores[Symbol.asyncDispose]();
      await events[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

it('a stream takes no place of the reads, and tells of keys', async () => {
  await using it = await open();
  const { listener } = it.follow();
  await soon(() => expect(listener.onOpen).toHaveBeenCalledOnce());
  const [read] = await (await it.stores.open('team')).read([{ key: 'k' }]);
  expect(read?.kind).toBe('found');
  it.events.send('kv-v2/data-write', 'secret/data/k');
  await soon(() => expect(listener.onMessage).toHaveBeenCalledWith('k'));
});

it('a stream ends when the store gets other credentials, and the next one has them', async () => {
  await using it = await open();
  const first = it.follow();
  await soon(() => expect(first.listener.onOpen).toHaveBeenCalledOnce());
  it.env.TOKEN = 'another';
  it.server.addToken('another');
  it.stores.reset('team');
  expect(await first.ended).toBe('INTERRUPTED');
  const second = it.follow();
  await soon(() => expect(second.listener.onOpen).toHaveBeenCalledOnce());
  expect(it.events.handshakes.map(({ token }) => token)).toEqual([it.server.rootToken, 'another']);
});

it('a stream that is not offered, or cut, says nothing of the store', async () => {
  await using it = await open();
  for (const status of [404, 403, 503]) {
    it.events.refuse = { status };
    for (let count = 0; count < 4; count += 1) expect(await it.follow().ended).toMatch(/^[A-Z_]+$/);
  }
  it.events.refuse = undefined;
  const { listener, ended } = it.follow();
  await soon(() => expect(listener.onOpen).toHaveBeenCalledOnce());
  it.events.drop();
  expect(await ended).toBe('STORE_UNAVAILABLE');
  expect([it.states, it.stores.state('team').state]).toEqual([[], 'up']);
});

it('a stream ends with its signal and with all stores, and one of a store that has none never begins', async () => {
  await using it = await open();
  const ending = new AbortController();
  const one = it.follow('team', ending.signal);
  const two = it.follow();
  await soon(() => expect(it.events.streams).toBe(2));
  ending.abort(new AppError('INTERRUPTED'));
  expect(await one.ended).toBe('INTERRUPTED');
  expect(await it.follow('local').ended).toBe('CONFIG_INVALID');
  await it.stores[Symbol.asyncDispose]();
  expect(await two.ended).toBe('INTERRUPTED');
  await soon(() => expect(it.events.streams).toBe(0));
});
