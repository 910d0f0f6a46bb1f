import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { vaultServer } from '../services/inject.ts';
import { baseText, type Migration, openMigration, secretsPath, testLogin, until } from './migration.ts';

const LONG = 'fX9-2kQ_vT7$mZ4!bR8w';
const OTHER = 'another-Value-83#-of-this-Store';

/** Lets the login list the keys below its prefix. */
async function allowSearch({ vault }: Migration): Promise<void> {
  const policy = [
    `path "secret/data/${vault.prefix}/*" { capabilities = ["read"] }`,
    `path "secret/metadata/${vault.prefix}/*" { capabilities = ["list", "read"] }`,
  ].join('\n');
  await vaultServer().request('PUT', `/v1/sys/policies/acl/${vault.prefix}`, { policy });
}

it('`import cluster` proposes mappings for Secrets of the cluster, which `plan` adopts without a changed byte, and prints no value', async () => {
  await using migration = await openMigration();
  const { namespace, account, vault, folder, run, post } = migration;
  await allowSearch(migration);
  await vault.put('shop/db', { user: 'ann', password: LONG, port: '5432' });
  await vault.put('shop/api', { token: OTHER });
  const create = (name: string, data: Readonly<Record<string, string>>) =>
    post(secretsPath(namespace), { metadata: { name }, stringData: data });
  await create('db', { DB_USER: 'x', PASSWORD: LONG, PORT: '5432' });
  await create('known', { PASSWORD: LONG, port: '5432', user: 'ann' });
  await create('api', { API_TOKEN: OTHER });
  await create('flags', { DEBUG: 'true' });
  const store = {
    name: 'vault',
    kind: 'vault',
    address: vault.address,
    mount: 'secret',
    auth: testLogin(migration),
  };
  await writeFile(
    join(folder, 'base.yaml'),
    `${baseText(migration.kubeconfig)}instance: moved\n${stringify({ stores: [store] })}`,
  );
  await migration.allow([{ apiGroups: [''], resources: ['secrets'], verbs: ['list'] }], namespace);
  await migration.allow(
    [{ apiGroups: [''], resources: ['secrets'], verbs: ['get'], resourceNames: ['vault-login'] }],
    account.namespace,
  );
  const command = [
    ...['import', 'cluster', '--config', 'base.yaml', '--store', 'vault', '--namespace', namespace],
    ...['--path', `${vault.prefix}/`, '--own-namespace', account.namespace],
  ];
  await until(async () => (await run(...command)).stderr.includes(`Secret ${namespace}/api`));
  const { stdout, stderr, code } = await run(...command);
  for (const value of [LONG, OTHER]) expect(`${stdout}${stderr}`).not.toContain(value);
  expect(code).toBe(4);
  expect(stderr).toContain(`carried over        Secret ${namespace}/api`);
  expect(stderr).toContain(`carried over        Secret ${namespace}/known`);
  expect(stderr).toMatch(/data\.DB_USER: no key of the store vault that was read has this value/);
  expect(stderr).toMatch(/Secrets without a value from the store:\n {2}Secret .*flags/);

  await writeFile(join(folder, 'imported.yaml'), stdout);
  const config = ['--config', 'base.yaml', '--config', 'imported.yaml'];
  const serviceAccount = `${account.namespace}/${account.name}`;
  await migration.apply((await run('rbac', ...config, '--service-account', serviceAccount)).stdout);
  await until(async () => !(await run('doctor', ...config)).stdout.includes('CLUSTER_FORBIDDEN'));
  const plan = JSON.parse((await run('plan', ...config, '--output', 'json')).stdout) as {
    targets: readonly { secret: string; keys: readonly { action: string }[] }[];
  };
  expect(
    plan.targets.map(({ secret, keys }) => [secret, [...new Set(keys.map(({ action }) => action))]]),
  ).toEqual([
    ['api', ['keep']],
    ['known', ['keep']],
  ]);
  expect(await readFile(join(folder, 'imported.yaml'), 'utf8')).not.toContain(LONG);
});
