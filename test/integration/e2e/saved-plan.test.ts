import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { base64, openWorld, type World, type WorldOptions } from '../service/world.ts';

// `test/cli/saved-plan.test.ts` tests saved plans on a folder of manifests. This test is about the API server.

const MARKERS = ['first-marker-of-a-plan', 'second-marker-of-a-plan', 'third-marker-of-a-plan'] as const;
const [FIRST, SECOND, THIRD] = MARKERS;

const config: WorldOptions['config'] = ({ prefix, ns }) => `mappings:
  - name: db
    target: { namespace: ${ns('apps')} }
    data: { PASSWORD: { store: vault, key: ${prefix}/db, property: password } }
  - name: web
    target: { namespace: ${ns('apps')} }
    data: { TOKEN: { store: vault, key: ${prefix}/web, property: token } }
`;

const put = (world: World, password: string) => world.vault.put('db', { password });
const passwordOf = async (world: World) => (await world.secret('db'))?.data?.PASSWORD;

async function save(world: World) {
  const { code } = await world.cli('plan', '--out', 'plan.json', '--output', 'json');
  const text = await readFile(join(world.folder, 'plan.json'), 'utf8');
  for (const marker of MARKERS)
    for (const form of [marker, base64(marker), Buffer.from(marker).toString('hex')])
      expect(text).not.toContain(form);
  return { code, plan: JSON.parse(text) as { readonly targets: readonly object[] } };
}

async function carryOut(world: World) {
  const { code, stdout } = await world.cli('sync', '--plan', 'plan.json', '--output', 'json');
  for (const marker of MARKERS) expect(stdout).not.toContain(marker);
  return { code, json: JSON.parse(stdout) as object };
}

it('a saved plan is carried out on the API server exactly, or not at all', async () => {
  await using world = await openWorld({ config });
  await put(world, FIRST);
  await world.vault.put('web', { token: 'web-token' });
  expect(await save(world)).toMatchObject({
    code: 2,
    plan: { targets: [{ mapping: 'db', action: 'create' }, { action: 'create' }] },
  });
  expect(await world.secret('db')).toBeUndefined();
  expect(await carryOut(world)).toMatchObject({ code: 0, json: { ok: true, summary: { created: 2 } } });
  expect(await passwordOf(world)).toBe(base64(FIRST));
  expect(await carryOut(world)).toMatchObject({ code: 4, json: { error: { code: 'PLAN_OUTDATED' } } });

  // The Secret has moved. The plan names its resourceVersion.
  await put(world, SECOND);
  const saved = await save(world);
  const planned = (await world.secret('db'))?.metadata.resourceVersion;
  expect(saved).toMatchObject({
    code: 2,
    plan: { targets: [{ action: 'update', resourceVersion: planned }, {}] },
  });
  await world.patch('db', { metadata: { labels: { touched: 'yes' } } });
  const current = (await world.secret('db'))?.metadata.resourceVersion;
  expect(await carryOut(world)).toMatchObject({
    code: 4,
    json: { error: { code: 'PLAN_OUTDATED' }, moved: [{ what: 'secret', secret: 'db', planned, current }] },
  });
  expect(await passwordOf(world)).toBe(base64(FIRST));

  // The version in the store has moved.
  await save(world);
  await put(world, THIRD);
  expect(await carryOut(world)).toMatchObject({
    code: 4,
    json: {
      error: { code: 'PLAN_OUTDATED' },
      moved: [{ what: 'source', store: 'vault', key: `${world.prefix}/db`, planned: '2', current: '3' }],
    },
  });

  // The mapping has moved.
  await save(world);
  await world.configure({ config: (names) => config(names).replace('{ PASSWORD:', '{ PASS:') });
  expect(await carryOut(world)).toMatchObject({
    code: 4,
    json: { error: { code: 'PLAN_OUTDATED' }, moved: [{ what: 'configuration' }] },
  });
  expect(await passwordOf(world)).toBe(base64(FIRST));

  await world.configure({ config });
  await save(world);
  expect(await carryOut(world)).toMatchObject({ code: 0, json: { summary: { updated: 1, unchanged: 1 } } });
  expect(await passwordOf(world)).toBe(base64(THIRD));
  const at = world.ns('apps');
  expect((await world.writes()).toSorted()).toEqual([
    `create ${at}/db`,
    `create ${at}/web`,
    `update ${at}/db`,
  ]);
});
