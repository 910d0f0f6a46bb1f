import { request } from 'undici';
import { describe, expect, it } from 'vitest';
import { FAULTS, startFaultProxy } from './fault-proxy.ts';
import { startVaultServer } from './vault-server.ts';

describe('the fault proxy', () => {
  it('forwards requests unchanged if no fault is set', async () => {
    await using server = await startVaultServer();
    await using proxy = await startFaultProxy(server.address);
    server.put('kv1', 'a', '{"n":1.10}');
    const headers = { 'x-vault-token': server.rootToken };
    const answer = await request(`${proxy.address}/v1/kv1/a?x=1`, { headers });
    expect(answer.statusCode).toBe(200);
    expect(await answer.body.text()).toContain('{"n":1.10}');
    expect(proxy.requests).toMatchObject([{ method: 'GET', path: '/v1/kv1/a?x=1', headers }]);
  });

  it('applies a fault to matching requests until the fault is removed', async () => {
    await using server = await startVaultServer();
    await using proxy = await startFaultProxy(server.address);
    const status = async (path: string) => {
      const answer = await request(`${proxy.address}/v1/${path}`);
      await answer.body.dump();
      return answer.statusCode;
    };
    proxy.set('unavailable', /health/);
    expect([await status('sys/health'), await status('kv1/a')]).toEqual([503, 403]);
    proxy.set(undefined);
    expect(await status('sys/health')).toBe(200);
  });

  it.each(FAULTS)('closes during the fault "%s"', async (fault) => {
    await using server = await startVaultServer();
    const proxy = await startFaultProxy(server.address);
    proxy.set(fault);
    const arrival = proxy.arrival(/./);
    const call = request(`${proxy.address}/v1/sys/health`).then(
      ({ body }) => body.dump(),
      () => undefined,
    );
    await arrival;
    await proxy[Symbol.asyncDispose]();
    await call;
  });
});
