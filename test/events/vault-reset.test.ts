import { expect, it, vi } from 'vitest';
import { startVaultIntake } from '../../src/events/vault.ts';
import { VaultConfig } from '../../src/providers/vault/config.ts';
import { vault } from '../../src/providers/vault/index.ts';
import { testDeps } from '../conformance/provider-deps.ts';
import { startVaultEvents } from '../fakes/vault-events.ts';
import { startVaultServer } from '../fakes/vault-server.ts';
import { waitUntil } from '../wait-until.ts';

it('reopening a store also reopens its event stream, and reports no failure', async () => {
  await using server = await startVaultServer();
  await using events = await startVaultEvents(server);
  const config = VaultConfig.parse({
    kind: 'vault',
    address: events.address,
    auth: { method: 'token', token: { env: 'TOKEN' } },
  });
  const create = () => vault.create(config, testDeps({ env: { TOKEN: server.rootToken } }));
  const before = await create();
  await using after = await create();
  const stores = [before, after];
  const onProgress = vi.fn();
  await using _ = startVaultIntake(
    {
      name: 'vault',
      store: 'team-vault',
      open: async () => stores.shift() ?? after,
      random: () => 0,
      pause: async () => undefined,
    },
    { submit: () => ({ targets: 0, unknown: 0 }), onSkipped: () => undefined, onProgress },
  );
  await waitUntil(() => expect(onProgress).toHaveBeenCalledOnce());
  await before[Symbol.asyncDispose]();
  await waitUntil(() => expect(events.handshakes).toHaveLength(2));
  await waitUntil(() => expect(events.streams).toBe(1));
  expect(onProgress.mock.calls.flat().filter((error) => error !== undefined)).toEqual([]);
});
