import { expect, it } from 'vitest';
import { openbao } from '../services/inject.ts';
import { call, openProvider } from './vault-harness.ts';

const listener = { onOpen: () => undefined, onAlive: () => undefined, onMessage: () => undefined };

it('reports OpenBao, which has no event stream, as CONFIG_INVALID', async () => {
  const bao = openbao();
  await using provider = await openProvider({ address: bao.address }, { TOKEN: bao.token });
  await expect(provider.subscribe?.(listener)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    detail: expect.stringMatching(/requires Vault Enterprise/),
  });
});

it('reports a token without access to events as ACCESS_DENIED', async () => {
  const bao = openbao();
  const { client_token: token } = await call<{ client_token: string }>(bao, 'POST', 'auth/token/create', {
    policies: ['default'],
  });
  await using provider = await openProvider({ address: bao.address }, { TOKEN: token });
  await expect(provider.subscribe?.(listener)).rejects.toMatchObject({
    code: 'ACCESS_DENIED',
    detail: expect.stringMatching(/Vault Enterprise/),
  });
});
