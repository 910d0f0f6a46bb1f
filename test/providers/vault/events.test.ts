import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { VaultConfig } from '../../../src/providers/vault/config.ts';
import { followEvents } from '../../../src/providers/vault/event-stream.ts';
import { vault } from '../../../src/providers/vault/index.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { createManualTime } from '../../fakes/manual-time.ts';
import { startVaultEvents } from '../../fakes/vault-events.ts';
import { startVaultServer } from '../../fakes/vault-server.ts';
import { waitUntil } from '../../wait-until.ts';

async function openWorld() {
  const server = await startVaultServer();
  const events = await startVaultEvents(server);
  const config = VaultConfig.parse({
    kind: 'vault',
    address: events.address,
    auth: { method: 'token', token: { env: 'TOKEN' } },
  });
  const deps = testDeps({ env: { TOKEN: server.rootToken } });
  return {
    server,
    events,
    config,
    deps,
    async [Symbol.asyncDispose]() {
      await events[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const listener = () => ({ onOpen: vi.fn(), onAlive: vi.fn(), onMessage: vi.fn() });

it('closes a stream whose server no longer answers pings, but not a stream without events', async () => {
  await using world = await openWorld();
  const { config, deps, events } = world;
  const time = createManualTime();
  const received = listener();
  const session = {
    token: async () => SecretValue.fromText(world.server.rootToken),
    ensure: async () => undefined,
    call: async () => {
      throw new AppError('INTERNAL');
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const ended = Promise.allSettled([
    followEvents({ config, deps, session, wake: time.wake }, received, new AbortController().signal),
  ]);
  await waitUntil(() => expect(received.onOpen).toHaveBeenCalledOnce());
  // This stream has no events, but its server answers pings.
  for (let alive = 1; alive <= 5; alive += 1)
    await waitUntil(async () => {
      if (received.onAlive.mock.calls.length < alive) await time.advance(20_000);
      expect(received.onAlive).toHaveBeenCalledTimes(alive);
    });
  events.silent = true;
  await time.advance(100_000);
  expect(await ended).toMatchObject([{ status: 'rejected', reason: { code: 'TIMEOUT' } }]);
  await waitUntil(() => expect(events.streams).toBe(0));
  expect(time.waiting).toEqual([]);
});

it('closes a stream when its store is closed or its signal is aborted', async () => {
  await using world = await openWorld();
  const provider = await vault.create(world.config, world.deps);
  const first = listener();
  const ended = Promise.allSettled([provider.subscribe?.(first)]);
  await waitUntil(() => expect(first.onOpen).toHaveBeenCalledOnce());
  const second = listener();
  const ending = new AbortController();
  const aborted = Promise.allSettled([provider.subscribe?.(second, { signal: ending.signal })]);
  await waitUntil(() => expect(second.onOpen).toHaveBeenCalledOnce());
  ending.abort(new AppError('INTERRUPTED'));
  expect(await aborted).toMatchObject([{ reason: { code: 'INTERRUPTED' } }]);
  await waitUntil(() => expect(world.events.streams).toBe(1));
  await provider[Symbol.asyncDispose]();
  expect(await ended).toMatchObject([{ reason: { code: 'INTERRUPTED' } }]);
  await waitUntil(() => expect(world.events.streams).toBe(0));
});

it('reports a failure if the server never answers the request for a stream', async () => {
  await using world = await openWorld();
  const { config, deps, events } = world;
  await events[Symbol.asyncDispose]();
  const provider = await vault.create(config, deps);
  await expect(provider.subscribe?.(listener())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  await provider[Symbol.asyncDispose]();
});

it('trusts only a server certificate from the configured authority when it opens a stream', async () => {
  const authority = createAuthority();
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-events-'));
  const caFile = join(folder, 'ca.pem');
  const otherFile = join(folder, 'other.pem');
  await writeFile(caFile, authority.ca);
  await writeFile(otherFile, createAuthority().ca);
  await using server = await startVaultServer();
  await using events = await startVaultEvents(server, authority.issue({ names: ['127.0.0.1'] }));
  const open = (file: string) =>
    vault.create(
      VaultConfig.parse({
        kind: 'vault',
        address: events.address,
        auth: { method: 'token', token: { env: 'TOKEN' } },
        tls: { caFile: file },
      }),
      testDeps({ env: { TOKEN: server.rootToken } }),
    );
  await using provider = await open(caFile);
  const received = listener();
  const ending = new AbortController();
  const ended = Promise.allSettled([provider.subscribe?.(received, { signal: ending.signal })]);
  await waitUntil(() => expect(received.onOpen).toHaveBeenCalledOnce());
  // The CA file is read for each connection, and now contains another authority.
  await copyFile(otherFile, caFile);
  await expect(provider.subscribe?.(listener())).rejects.toMatchObject({ code: 'TLS_FAILED' });
  events.send('kv-v2/data-write', 'secret/data/a');
  await waitUntil(() => expect(received.onMessage).toHaveBeenCalledWith('a'));
  ending.abort(new AppError('INTERRUPTED'));
  await ended;
  await rm(folder, { recursive: true });
});
