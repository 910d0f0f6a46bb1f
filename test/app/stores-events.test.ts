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
import { waitUntil } from '../wait-until.ts';

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
    /** Follows the stream until it ends or the signal is aborted. Returns the reason for the end. */
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

it('an event stream reports the changed keys, and does not count toward the limit of concurrent reads', async () => {
  await using setup = await open();
  const { listener } = setup.follow();
  await waitUntil(() => expect(listener.onOpen).toHaveBeenCalledOnce());
  const [read] = await (await setup.stores.open('team')).read([{ key: 'k' }]);
  expect(read?.kind).toBe('found');
  setup.events.send('kv-v2/data-write', 'secret/data/k');
  await waitUntil(() => expect(listener.onMessage).toHaveBeenCalledWith('k'));
});

it("an event stream ends when the store's credentials change, and the next stream uses the new credentials", async () => {
  await using setup = await open();
  const first = setup.follow();
  await waitUntil(() => expect(first.listener.onOpen).toHaveBeenCalledOnce());
  setup.env.TOKEN = 'another';
  setup.server.addToken('another');
  setup.stores.reset('team');
  expect(await first.ended).toBe('INTERRUPTED');
  const second = setup.follow();
  await waitUntil(() => expect(second.listener.onOpen).toHaveBeenCalledOnce());
  expect(setup.events.handshakes.map(({ token }) => token)).toEqual([setup.server.rootToken, 'another']);
});

it("a missing or interrupted event stream does not change the store's state", async () => {
  await using setup = await open();
  for (const status of [404, 403, 503]) {
    setup.events.refuse = { status };
    for (let count = 0; count < 4; count += 1) expect(await setup.follow().ended).toMatch(/^[A-Z_]+$/);
  }
  setup.events.refuse = undefined;
  const { listener, ended } = setup.follow();
  await waitUntil(() => expect(listener.onOpen).toHaveBeenCalledOnce());
  setup.events.drop();
  expect(await ended).toBe('STORE_UNAVAILABLE');
  expect([setup.states, setup.stores.state('team').state]).toEqual([[], 'up']);
});

it('an event stream ends when its signal is aborted or its store closes, and fails for a store without streams', async () => {
  await using setup = await open();
  const ending = new AbortController();
  const one = setup.follow('team', ending.signal);
  const two = setup.follow();
  await waitUntil(() => expect(setup.events.streams).toBe(2));
  ending.abort(new AppError('INTERRUPTED'));
  expect(await one.ended).toBe('INTERRUPTED');
  expect(await setup.follow('local').ended).toBe('CONFIG_INVALID');
  await setup.stores[Symbol.asyncDispose]();
  expect(await two.ended).toBe('INTERRUPTED');
  await waitUntil(() => expect(setup.events.streams).toBe(0));
});
