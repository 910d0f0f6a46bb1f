import { expect, it } from 'vitest';
import { createMappingHash } from '../../src/commands/serve/configuration-records.ts';
import type { Config } from '../../src/config/config.ts';
import { loadText } from '../config/memory-fs.ts';

const STORES = `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
audit: { store: { kind: sqlite, path: ./state/audit.db } }
stores:
  - { name: one, kind: files, path: ./one }
  - { name: two, kind: files, path: ./two }
`;
const MAPPINGS = `mappings:
  - { name: app, target: { namespace: apps }, data: { A: { store: one, key: a } } }
  - { name: other, target: { namespace: apps }, dataFrom: [ { store: two, find: { path: p, name: '^a' } } ] }
`;

async function load(text: string): Promise<Config> {
  const loaded = await loadText(text);
  if (loaded.kind === 'invalid') throw new Error('it is not valid');
  return loaded.config;
}

it('the hash of a mapping changes only if the mapping, one of its stores or the access rules change', async () => {
  const app = { config: await load(STORES + MAPPINGS) };
  const runsBy = createMappingHash(app);
  const both = () => [runsBy('app'), runsBy('other')];
  const [mine, others] = both();
  expect(mine).toMatch(/^[0-9a-f]{16}$/);
  expect(mine).not.toBe(others);
  expect(runsBy('none')).toBeUndefined();
  const changed = async (text: string) => {
    app.config = await load(text);
    const now = both();
    return [now[0] !== mine, now[1] !== others];
  };
  expect(await changed(STORES + MAPPINGS)).toEqual([false, false]);
  expect(await changed(STORES + MAPPINGS.replace('key: a ', 'key: b '))).toEqual([true, false]);
  expect(await changed(STORES + MAPPINGS.replace("'^a'", "'^b'"))).toEqual([false, true]);
  expect(
    await changed(STORES + MAPPINGS.replace('apps }, data:', 'apps }, onConflict: adopt, data:')),
  ).toEqual([true, false]);
  expect(await changed(STORES.replace('./one', './three') + MAPPINGS)).toEqual([true, false]);
  const rules = 'access: [ { namespaces: [apps], stores: [one, two], keys: ["**"] } ]\n';
  expect(await changed(STORES + MAPPINGS + rules)).toEqual([true, true]);
});
