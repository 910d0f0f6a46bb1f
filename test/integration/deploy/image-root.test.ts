import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TENANT } from '../../fakes/azure-server/login.ts';
import { startAzureServer } from '../../fakes/azure-server/server.ts';
import { freePort } from '../services/free-port.ts';
import { localstack, openbao } from '../services/inject.ts';
import { until } from '../services/service.ts';
import { findSkipReason, type ImageRoot, openImageRoot, ROOT } from './image-root.ts';

const NODE = '/usr/local/bin/node';
const PROGRAM = '/app/bin/secretbridge.js';
const CLIENT = '22222222-2222-4222-8222-222222222222';

const skipReason = await findSkipReason();

describe.skipIf(skipReason !== undefined)(
  `the image (read-only, run by a numeric user)${skipReason === undefined ? '' : ` (skipped: ${skipReason})`}`,
  () => {
    let root: ImageRoot;
    beforeAll(async () => {
      root = await openImageRoot();
    }, 180_000);
    afterAll(() => root[Symbol.asyncDispose]());

    const configure = (text: string) =>
      writeFile(join(root.folder, 'etc/secretbridge/secretbridge.yaml'), text);
    const secretbridge = (args: readonly string[], env?: Readonly<Record<string, string>>) =>
      root.run([NODE, PROGRAM, ...args, '--config', '/etc/secretbridge/'], env);

    it('the image contains only Node, its libraries and the program, without shell or npm', async () => {
      const programs = await Promise.all(
        ['bin', 'usr/bin', 'usr/local/bin', 'sbin'].map(async (path) => {
          try {
            return await readdir(join(root.folder, path));
          } catch (error) {
            if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
            throw error;
          }
        }),
      );
      expect(programs.flat().toSorted()).toEqual(['node', 'secretbridge']);
      // The libraries in Debian's slim image. If Node needed another library, Node would not start in that image.
      const libraries = (await readdir(root.folder, { recursive: true })).filter(
        (path) => /\.so(\.|$)/.test(path) && !path.startsWith('app/'),
      );
      const names = libraries.map((path) => path.split('/').at(-1)?.split('.so')[0]);
      const baseLibraries = [
        'ld-linux-x86-64',
        'ld-linux-aarch64',
        'libc',
        'libdl',
        'libgcc_s',
        'libm',
        'libpthread',
      ];
      expect(names.filter((name) => !baseLibraries.includes(name ?? ''))).toEqual(['libstdc++']);
    });

    it('the program can write only to its state folder', async () => {
      const script = `const { writeFileSync } = require('node:fs');
        for (const folder of ['/', '/app', '/app/dist', '/etc/secretbridge', '/var/lib', '/var/lib/secretbridge'])
          try { writeFileSync(folder + '/x', ''); console.log(folder); } catch ({ code }) { console.log(folder, code); }
        console.log(process.getuid(), process.getgid());`;
      const { stdout } = await root.run([NODE, '-e', script]);
      expect(stdout.trim().split('\n')).toEqual([
        ...['/', '/app', '/app/dist', '/etc/secretbridge', '/var/lib'].map((path) => `${path} EROFS`),
        '/var/lib/secretbridge',
        root.image.user.replace(':', ' '),
      ]);
    });

    it('the command of the Dockerfile starts the service, which passes its healthcheck and exits cleanly', async () => {
      const port = await freePort();
      const check = async () => {
        const command = root.image.healthcheck.map((word) => word.replace(':8080', `:${port}`));
        return (await root.run(command)).code;
      };
      await mkdir(join(root.folder, 'etc/secretbridge/store'), { recursive: true });
      await writeFile(join(root.folder, 'etc/secretbridge/store/db.json'), '{"user":"ann"}');
      await configure(`apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: /var/lib/secretbridge/cluster }
audit: { store: { kind: sqlite, path: /var/lib/secretbridge/audit.db } }
http: { listen: '127.0.0.1:${port}' }
stores: [ { name: local, kind: files, path: /etc/secretbridge/store } ]
mappings:
  - { name: db, target: { namespace: apps }, data: { USER: { store: local, key: db.json, property: user } } }
`);
      expect(await check()).toBe(1);
      const child = root.start([...root.image.entrypoint, ...root.image.command]);
      const ended = once(child, 'close');
      child.stdout?.resume();
      child.stderr?.resume();
      try {
        await until('The healthcheck', 30_000, async () => (await check()) === 0);
        await until('The readiness', 30_000, async () => (await fetch(`http://127.0.0.1:${port}/readyz`)).ok);
        const target = join(root.state, 'cluster/apps/db.yaml');
        const isThere = async () =>
          (await readdir(root.state, { recursive: true })).includes('cluster/apps/db.yaml');
        await until('The Secret', 30_000, isThere);
        await until('The value of the Secret', 30_000, async () =>
          (await readFile(target, 'utf8')).includes('YW5u'),
        );
        expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toContain('<html');
      } finally {
        child.kill('SIGTERM');
      }
      expect(await ended).toEqual([0, null]);
      expect(await secretbridge(['audit', 'verify'])).toMatchObject({ code: 0 });
    });

    it('the program in the image reads from every kind of store', async () => {
      await using azure = await startAzureServer();
      azure.login.applications.set(CLIENT, { secret: 'client-secret' });
      azure.secrets.put('image-api', 'from azure');
      await openbao().request('POST', '/v1/secret/data/image/db', { data: { password: 'from vault' } });
      await writeFile(join(root.folder, 'etc/secretbridge/azure-ca.pem'), azure.ca);
      await mkdir(join(root.folder, 'etc/secretbridge/files'), { recursive: true });
      await writeFile(join(root.folder, 'etc/secretbridge/files/a'), 'from a file');
      const region = 'eu-west-1';
      const env = {
        ...{ VAULT_TOKEN: openbao().token, AWS_ACCESS_KEY_ID: '310987654321', AWS_SECRET_ACCESS_KEY: 'any' },
        ...{ AZURE_CLIENT_SECRET: 'client-secret', AZURE_AUTHORITY_HOST: azure.authorityHost },
      };
      const create = `import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
        const client = new SecretsManagerClient({ endpoint: '${localstack().address}', region: '${region}' });
        await client.send(new CreateSecretCommand({ Name: 'image/aws', SecretString: 'from aws' }));`;
      await writeFile(join(root.folder, 'app/create.mjs'), create);
      expect(await root.run([NODE, '/app/create.mjs'], env)).toMatchObject({ code: 0 });
      await configure(`apiVersion: secretbridge.dev/v1
instance: stores
cluster: { kind: directory, path: /var/lib/secretbridge/stores }
audit: { store: { kind: sqlite, path: /var/lib/secretbridge/stores.db } }
stores:
  - { name: vault, kind: vault, address: '${openbao().address}', auth: { method: token, token: { env: VAULT_TOKEN } } }
  - name: aws
    kind: aws-secrets-manager
    region: ${region}
    endpoint: ${localstack().address}
    auth:
      method: static
      accessKeyId: { env: AWS_ACCESS_KEY_ID }
      secretAccessKey: { env: AWS_SECRET_ACCESS_KEY }
  - name: azure
    kind: azure-key-vault
    vaultUrl: ${azure.address}
    tls: { caFile: /etc/secretbridge/azure-ca.pem }
    auth: { method: clientSecret, tenantId: ${TENANT}, clientId: ${CLIENT}, clientSecret: { env: AZURE_CLIENT_SECRET } }
  - { name: local, kind: files, path: /etc/secretbridge/files }
mappings:
  - name: all
    target: { namespace: apps }
    data:
      VAULT: { store: vault, key: image/db, property: password }
      AWS: { store: aws, key: image/aws }
      AZURE: { store: azure, key: image-api }
      FILE: { store: local, key: a }
`);
      const synced = await secretbridge(['sync', '--output', 'json'], env);
      expect(JSON.parse(synced.stdout)).toMatchObject({ ok: true, summary: { created: 1 } });
      const written = await readFile(join(root.state, 'stores/apps/all.yaml'), 'utf8');
      for (const value of ['vault', 'aws', 'azure', 'a file'])
        expect(written).toContain(Buffer.from(`from ${value}`).toString('base64'));
    });

    it('the image contains the program as a command, and its license', async () => {
      const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
        version: string;
      };
      // This file system has no `/usr/bin/env`, so the first line of the program must name Node.
      const { stdout } = await root.run(['/usr/local/bin/secretbridge', '--version']);
      expect(stdout).toContain(version);
      expect(await readFile(join(root.folder, 'app/LICENSE'), 'utf8')).toContain('Apache License');
      expect(await readFile(join(ROOT, 'Dockerfile'), 'utf8')).toContain(`image.version="${version}"`);
    });
  },
);
