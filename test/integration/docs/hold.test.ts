import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { startServiceProcess, within } from '../service/service-process.ts';
import { freePort } from '../services/free-port.ts';
import { marksOf, shellProblems } from './page-blocks.ts';

const PAGE = 'docs/how-to/troubleshooting.md';
const BLOCKS = ['read', 'http', 'release', 'release-http', 'after'];

const config = (listen: string, names: readonly string[]) => `apiVersion: secretbridge.dev/v1
instance: prod-eu
cluster: { kind: directory, path: ./cluster }
http: { listen: '${listen}', tokens: [ { name: ann, role: operator, token: { file: ./ann.token } } ] }
defaults: { onMappingRemoved: delete }
stores: [ { name: local, kind: files, path: ./secrets } ]
mappings: [ ${names.map((name) => `{ name: ${name}, target: { namespace: shop }, data: { PASSWORD: { store: local, key: password } } }`).join(', ')} ]
`;

describe('the page about holds', () => {
  it('the page has only valid shell commands, and the tests run each of these commands', async () => {
    expect(await shellProblems(PAGE)).toEqual([]);
    expect((await marksOf(PAGE)).filter((mark) => mark !== '')).toEqual(BLOCKS);
  });

  it('the commands on the page show held changes, and release them from the command line and over HTTP', async () => {
    await using shell = await openPageShell();
    const listen = `127.0.0.1:${await freePort()}`;
    const token = 'a-token-of-ann-that-is-long-enough';
    await shell.write('ann.token', token);
    await shell.write('secrets/password', 'first');
    await shell.write('secretbridge.yaml', config(listen, ['cart', 'catalog', 'orders', 'web']));
    await using served = await startServiceProcess({
      cwd: shell.folder,
      env: {},
      address: `http://${listen}`,
      token,
    });
    await within(20_000, async () =>
      expect((await served.status()).targets.map(({ state }) => state)).toEqual(Array(4).fill('synced')),
    );
    await shell.write('secretbridge.yaml', config(listen, ['orders', 'web']));
    await within(20_000, async () => expect((await served.status()).held.length).toBe(2));

    const step = async (mark: string): Promise<string> => {
      const block = (await markedBlock(PAGE, mark)).replaceAll('127.0.0.1:8080', listen);
      const result = await shell.run(block, { SECRETBRIDGE_TOKEN: token });
      expect(result, mark).toMatchObject({ code: 0 });
      return result.stdout;
    };
    const heldOutput = await step('read');
    expect(heldOutput).toMatch(/^held [0-9a-f]{12} {2}shop\/cart +would lose PASSWORD$/m);
    expect(heldOutput).toMatch(/ hold .*shop\/cart/);
    expect(JSON.parse(await step('http'))).toMatchObject({
      held: [{ secret: 'cart' }, { secret: 'catalog' }],
    });
    const secrets = async () => (await readdir(join(shell.folder, 'cluster/shop'))).sort();
    expect(await secrets()).toHaveLength(4);
    expect(await step('release')).toContain('deleted');
    expect(await secrets()).toEqual(['catalog.yaml', 'orders.yaml', 'web.yaml']);
    await step('release-http');
    expect(await secrets()).toEqual(['orders.yaml', 'web.yaml']);
    const after = await step('after');
    expect(after.match(/ release /g)).toHaveLength(2);
    expect(after).toMatch(/ delete +ok +shop\/catalog +ann/);
    expect((await served.stop()).code).toBe(0);
  });
});
