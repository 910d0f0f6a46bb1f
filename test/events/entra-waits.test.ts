import { createServer } from 'node:http';
import { expect, it, vi } from 'vitest';
import { createEntraVerifier } from '../../src/events/entra.ts';
import { AUDIENCE, TENANT } from '../fakes/entra-server.ts';
import { closeServer, listen } from '../fakes/loopback.ts';

it('the request for signing keys times out if the proxy hangs', async () => {
  const proxy = createServer().on('connect', (_, socket) => {
    socket
      .on('error', () => undefined)
      .on('end', () => socket.end())
      .resume();
  });
  vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${await listen(proxy)}`);
  try {
    const config = { tenantId: TENANT, audience: AUDIENCE };
    const vaultUrl = 'https://contoso.vault.azure.net';
    const proof = createEntraVerifier(config, { vaultUrl, clock: { now: () => 0 } });
    const began = performance.now();
    await expect(proof.loadKeys()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(performance.now() - began).toBeLessThan(30_000);
  } finally {
    vi.unstubAllEnvs();
    await closeServer(proxy);
  }
});
