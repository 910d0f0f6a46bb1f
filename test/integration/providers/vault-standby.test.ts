import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { expect, it } from 'vitest';
import { codeOf, reveal } from '../../conformance/provider.ts';
import { closeServer, listen } from '../../fakes/loopback.ts';
import { retryOnPortClash } from '../services/free-port.ts';
import { vaultServer } from '../services/inject.ts';
import { call, openProvider, urlOf } from './vault-harness.ts';
import { startCluster } from './vault-node.ts';

/** A load balancer that sends all requests to the selected node. */
async function openLoadBalancer(first: string, addedHeaders: IncomingHttpHeaders = {}) {
  let node = first;
  const proxy = createServer((incoming, outgoing) => {
    const upstream = request(new URL(incoming.url ?? '/', node), {
      method: incoming.method,
      headers: { ...incoming.headers, ...addedHeaders },
    });
    upstream.on('error', () => outgoing.destroy());
    upstream.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(upstream);
  });
  const port = await listen(proxy);
  return {
    address: `http://127.0.0.1:${port}`,
    routeTo(to: { readonly address: string }): void {
      node = to.address;
    },
    [Symbol.asyncDispose]: () => closeServer(proxy),
  };
}

it('a standby never reports an absence, or an older value than the active node has already returned', async () => {
  const { active, standby, server, mount } = await retryOnPortClash(startCluster);
  await using _standby = standby;
  await using balancer = await openLoadBalancer(active.address);
  {
    await using _active = active;
    await using provider = await openProvider({ address: balancer.address, mount }, { TOKEN: server.token });
    const readOne = async (key: string) => (await provider.read([{ key }]))[0];
    for (let round = 1; round <= 10; round += 1) {
      balancer.routeTo(active);
      await call(server, 'POST', urlOf(mount, 2, 'old'), { data: { round } });
      await call(server, 'POST', urlOf(mount, 2, `new-${round}`), { data: { round } });
      for (const node of [active, standby]) {
        balancer.routeTo(node);
        expect(reveal(await readOne(`new-${round}`))).toBe(`{"round":${round}}`);
        expect(reveal(await readOne('old'))).toBe(`{"round":${round}}`);
      }
    }
    balancer.routeTo(active);
    await call(server, 'POST', urlOf(mount, 2, 'last'), { data: { x: '1' } });
    await readOne('last');
    // The active node stops right after the read. The standby may return the value or fail.
    await active[Symbol.asyncDispose]();
    balancer.routeTo(standby);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const result = await readOne('last');
      expect(['{"x":"1"}', 'BAD_ANSWER', 'STORE_UNAVAILABLE']).toContain(
        result?.kind === 'found' ? reveal(result) : codeOf(result),
      );
    }
  }
});

// A standby of OpenBao answers reads itself.
if (vaultServer().product === 'Vault')
  it('a redirect of a standby to the active node fails with BAD_ANSWER, and is neither followed nor an absence', async () => {
    const { active, standby, server, mount } = await retryOnPortClash(startCluster);
    await using _nodes = new AsyncDisposableStack();
    _nodes.use(active);
    _nodes.use(standby);
    await call(server, 'POST', urlOf(mount, 2, 'a'), { data: { x: '1' } });
    // With this header, a standby does not forward a request.
    await using balancer = await openLoadBalancer(standby.address, {
      'x-vault-no-request-forwarding': 'true',
    });
    await using provider = await openProvider({ address: balancer.address, mount }, { TOKEN: server.token });
    const results = await provider.read([{ key: 'a' }, { key: 'none' }]);
    expect(results.map(codeOf)).toEqual(['BAD_ANSWER', 'BAD_ANSWER']);
    expect(results[0]).toMatchObject({ error: { detail: expect.stringContaining('redirect') } });
    balancer.routeTo(active);
    expect((await provider.read([{ key: 'a' }, { key: 'none' }])).map(codeOf)).toEqual(['found', 'absent']);
  });
