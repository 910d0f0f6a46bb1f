import { expect, it } from 'vitest';
import { vaultServer } from '../services/inject.ts';
import { call, openProvider } from './vault-harness.ts';

const listener = { onOpen: () => undefined, onAlive: () => undefined, onMessage: () => undefined };

it(`reports ${vaultServer().product}, which has no event stream, as CONFIG_INVALID`, async () => {
  const server = vaultServer();
  await using provider = await openProvider({ address: server.address }, { TOKEN: server.token });
  await expect(provider.subscribe?.(listener)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    detail: expect.stringMatching(/requires Vault Enterprise/),
  });
});

it('reports a token without access to events as ACCESS_DENIED', async () => {
  const server = vaultServer();
  const { client_token: token } = await call<{ client_token: string }>(server, 'POST', 'auth/token/create', {
    policies: ['default'],
  });
  await using provider = await openProvider({ address: server.address }, { TOKEN: token });
  await expect(provider.subscribe?.(listener)).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
    detail: expect.stringMatching(/Vault Enterprise/),
  });
});
