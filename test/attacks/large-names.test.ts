import { createServer, type RequestListener } from 'node:http';
import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { VaultConfig } from '../../src/providers/vault/config.ts';
import { vault } from '../../src/providers/vault/index.ts';
import { openBench } from '../cli/harness.ts';
import { testDeps } from '../conformance/provider-deps.ts';
import { listen } from '../fakes/loopback.ts';

// Names of a tenant or a store that are so long, or so many, that they would fill the memory.

const MAIN = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: local, kind: files, path: ./store } ]
include: [ { path: team.yaml, namespaces: ['a*'], stores: [local], keys: ['**'] } ]
`;

/** Mappings with a long name in different places. Each has 20 targets. */
function mappings(long: string, prefix: string): string {
  const namespaces = Array.from({ length: 20 }, (_, n) => `a${n}`);
  const target = `{ namespaces: [${namespaces.join(', ')}] }`;
  return `mappings:
  - { name: prefix, target: ${target}, dataFrom: [ { store: local, key: db.json, rename: { prefix: ${prefix} } } ] }
  - { name: property, target: ${target}, data: { A: { store: local, key: db.json, property: ${long} } } }
  - { name: key, target: ${target}, data: { A: { store: local, key: ${long} } } }
  - { name: search, target: ${target}, dataFrom: [ { store: local, find: { path: ${long} } } ] }
`;
}

it('a name of a tenant that is longer than a store allows is refused', async () => {
  await using bench = await openBench(MAIN);
  await bench.write('team.yaml', mappings('x'.repeat(200_000), 'x'.repeat(200_000)));
  const { code, stdout, json } = await bench.run('validate', '--output', 'json');
  expect(code).toBe(3);
  const place = (path: string) => ({ file: 'team.yaml', path, code: 'CONFIG_INVALID' });
  expect(json).toMatchObject({
    problems: [
      place('mappings[0].dataFrom[0].rename.prefix'),
      place('mappings[1].data.A.property'),
      place('mappings[2].data.A.key'),
      place('mappings[3].dataFrom[0].find.path'),
    ],
  });
  expect(stdout.length).toBeLessThan(5_000);
});

it('the longest allowed names cost little for many targets, and an error shows only their beginning', async () => {
  await using bench = await openBench(MAIN);
  await bench.write('team.yaml', mappings('x'.repeat(2_048), 'x'.repeat(253)));
  const { code, stdout, json } = await bench.run('sync', '--output', 'json');
  expect(code).toBe(4);
  expect(json).toMatchObject({ summary: { failed: 80 } });
  expect(stdout.length).toBeLessThan(2_000_000);
  const { message } = new AppError('INTERNAL', { subject: 'x'.repeat(10_000), detail: 'y'.repeat(10_000) });
  expect(message.length).toBeLessThan(5_000);
});

/** A store that lists 1,000 folders, with these names in each of them. */
async function openStore(names: readonly string[]) {
  const requests: string[] = [];
  const answer: RequestListener = ({ url = '' }, response) => {
    requests.push(url);
    const { pathname } = new URL(url, 'http://localhost');
    const keys =
      pathname === '/v1/secret/metadata/' ? Array.from({ length: 1_000 }, (_, n) => `folder${n}/`) : names;
    const body = url.includes('list=true') ? { data: { keys } } : { data: { ttl: 0 } };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const server = createServer(answer);
  const port = await listen(server);
  const config = VaultConfig.parse({
    ...{ kind: 'vault', address: `http://127.0.0.1:${port}` },
    auth: { method: 'token', token: { env: 'TOKEN' } },
  });
  const provider = await vault.create(config, testDeps({ env: { TOKEN: 'token' } }));
  return {
    provider,
    requests,
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]();
      server.closeAllConnections();
      server.close();
    },
  };
}

it('a search ends early in a store that lists ever more names', async () => {
  await using store = await openStore(Array.from({ length: 5_000 }, (_, n) => `name${n}`));
  await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'TOO_LARGE' });
  expect(store.requests.length).toBeLessThan(100);
});

it('a search ends at a name that is too long to be a key', async () => {
  await using store = await openStore(['x'.repeat(5_000)]);
  await expect(store.provider.find({ path: '', tags: {} })).rejects.toMatchObject({ code: 'BAD_ANSWER' });
});
