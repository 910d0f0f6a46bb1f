import { expect, it } from 'vitest';
import { waitUntil } from '../../wait-until.ts';
import { call } from '../providers/vault-harness.ts';
import { startActive } from '../providers/vault-node.ts';
import { within } from '../service/service-process.ts';
import { base64, openWorld, type WorldOptions } from '../service/world.ts';
import { retryOnPortClash } from '../services/free-port.ts';
import { vaultServer } from '../services/inject.ts';

const config: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 2s }
mappings:
  - name: db
    target: { namespace: ${ns('apps')} }
    data: { A: { store: vault, key: ${prefix}/db, property: a } }
    onSourceMissing: delete
`;

it(`the service keeps its Secrets while ${vaultServer().product} is sealed, and syncs again after the unsealing`, async () => {
  const { node, server, unseal } = await retryOnPortClash(startActive);
  await using _node = node;
  await call(server, 'POST', 'sys/mounts/secret', { type: 'kv-v2' });
  await using world = await openWorld({ config, vaultServer: server });
  await world.vault.put('db', { a: 'first' });
  await using served = await world.serve();
  const expectValue = async (value: string) =>
    expect((await world.secret('db'))?.data?.A).toBe(base64(value));
  await within(15_000, () => expectValue('first'));

  await call(server, 'PUT', 'sys/seal', {});
  await within(30_000, async () => {
    const { stores } = await served.status();
    expect(stores).toMatchObject([{ state: 'down', code: 'STORE_UNAVAILABLE' }]);
  });
  const doctor = await world.cli('doctor');
  expect(doctor.stdout).toContain('it is sealed');
  await expectValue('first');

  await unseal(node);
  await waitUntil(() => world.vault.put('db', { a: 'second' }));
  await within(60_000, () => expectValue('second'));
  expect((await world.writes()).filter((write) => write.startsWith('delete'))).toEqual([]);
}, 180_000);
