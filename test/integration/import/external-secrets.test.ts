import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Raw } from '../e2e/bench.ts';
import { syncReport } from '../e2e/program.ts';
import { kubernetes } from '../services/inject.ts';
import {
  type ExternalSecretsCluster,
  GROUP,
  openExternalSecretsCluster,
} from './external-secrets-cluster.ts';
import { baseText, until } from './migration.ts';

const COUNT = 30;

interface Case {
  readonly spec: (key: string) => object;
  /** Default: `FIELDS`. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** The Secret data that the External Secrets Operator would create from `FIELDS`. */
  readonly data: Readonly<Record<string, string>>;
}

const FIELDS = { user: 'ann', password: 'p@ss w/rd', pem: 'LQo=' };

const CASES: readonly Case[] = [
  {
    spec: (key) => ({ data: [{ secretKey: 'PASSWORD', remoteRef: { key, property: 'password' } }] }),
    data: { PASSWORD: FIELDS.password },
  },
  { spec: (key) => ({ dataFrom: [{ extract: { key } }] }), data: FIELDS },
  {
    spec: (key) => ({
      data: [{ secretKey: 'pem', remoteRef: { key, property: 'pem', decodingStrategy: 'Base64' } }],
    }),
    data: { pem: '-\n' },
  },
  {
    spec: (key) => ({
      dataFrom: [{ extract: { key } }],
      target: { template: { data: { url: 'pg://{{ .user }}@h', user: '{{ .user | upper }}' } } },
    }),
    data: { url: 'pg://ann@h', user: 'ANN' },
  },
  {
    spec: (key) => ({
      dataFrom: [{ extract: { key }, rewrite: [{ regexp: { source: '(.*)', target: 'DB_$1' } }] }],
    }),
    data: { DB_user: 'ann', DB_password: FIELDS.password, DB_pem: 'LQo=' },
  },
  {
    spec: (key) => ({
      data: [{ secretKey: 'all', remoteRef: { key } }],
      target: { template: { mergePolicy: 'Merge', data: { auth: '{{ printf "x:%s" .all | b64enc }}' } } },
    }),
    data: {
      all: '{"password":"p@ss w/rd","pem":"LQo=","user":"ann"}',
      auth: Buffer.from('x:{"password":"p@ss w/rd","pem":"LQo=","user":"ann"}').toString('base64'),
    },
  },
  {
    spec: (key) => ({
      dataFrom: [{ extract: { key } }],
      syncWindows: { kind: 'allow', windows: [{ schedule: '* * * * *', duration: '1h' }] },
      target: {
        template: {
          templateFrom: [
            {
              configMap: {
                name: 'texts',
                items: [{ key: 'url' }, { key: 'pairs', templateAs: 'KeysAndValues' }],
              },
            },
            { literal: 'role: "admin of {{ .user }}"\n' },
            { literal: 'team: shop\n', target: 'Labels' },
          ],
        },
      },
    }),
    data: { url: 'pg://ann@h', login: 'ANN', text: 'p@ss w/rd\n', role: 'admin of ann' },
  },
  {
    spec: (key) => ({
      dataFrom: [
        {
          extract: { key },
          rewrite: [
            { regexp: { source: '^db-(\\w+)-(\\w+)$', target: '$2.$1' } },
            { transform: { template: '{{ .value | upper }}' } },
          ],
        },
      ],
    }),
    fields: { 'db-name-main': 'a', 'db-user-main': 'b', other: 'c' },
    data: { 'MAIN.NAME': 'a', 'MAIN.USER': 'b', OTHER: 'c' },
  },
  {
    spec: (key) => ({
      data: [
        { secretKey: 'HOST', remoteRef: { key, property: 'hosts.#(role=="reader").name' } },
        { secretKey: 'NAMES', remoteRef: { key, property: 'hosts.#.name' } },
      ],
    }),
    fields: {
      hosts: [
        { role: 'writer', name: 'db-0' },
        { role: 'reader', name: 'db-1' },
      ],
    },
    data: { HOST: 'db-1', NAMES: '["db-0","db-1"]' },
  },
];

/** The ConfigMap with templates. */
const TEXTS = {
  url: 'pg://{{ .user }}@h',
  pairs: 'login: "{{ .user | upper }}"\ntext: |\n  {{ .password }}\n',
};

async function fill(cluster: ExternalSecretsCluster): Promise<void> {
  await cluster.post(`/api/v1/namespaces/${cluster.namespace}/configmaps`, {
    metadata: { name: 'texts' },
    data: TEXTS,
  });
  for (let index = 0; index < COUNT; index += 1) {
    const {
      spec,
      data,
      fields = FIELDS,
    }: Case = CASES[index % CASES.length] ?? {
      spec: () => ({}),
      data: {},
    };
    await cluster.vault.put(`app-${index}`, fields);
    await cluster.createExternalSecret(`app-${index}`, spec(`${cluster.vault.prefix}/app-${index}`), data);
  }
}

describe('a migration from the External Secrets Operator', () => {
  it('adopts every Secret without a change, and keeps each Secret when its ExternalSecret is deleted', async () => {
    await using cluster = await openExternalSecretsCluster();
    const { namespace, account, kubeconfig, folder } = cluster;
    const { request } = kubernetes();
    await fill(cluster);
    await cluster.allowList();
    const secretsPath = `/api/v1/namespaces/${namespace}/secrets`;
    const list = async () => (await cluster.get<{ items: readonly Raw[] }>(secretsPath)).items;
    const before = await list();
    expect(before).toHaveLength(COUNT);

    const command = [
      'import',
      'external-secrets',
      '--own-namespace',
      account.namespace,
      '--instance',
      'moved',
    ];
    await until(async () => (await cluster.run(...command)).stderr.includes(`${namespace}/app-29`));
    const imported = await cluster.run(...command, '--out', 'imported.yaml', '--report', 'report.json');
    expect(imported).toMatchObject({ stdout: '' });
    const report = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8')) as {
      objects: readonly { kind: string; namespace?: string; outcome: string }[];
    };
    const objects = report.objects.filter((object) => object.namespace === namespace);
    expect(objects.map(({ outcome }) => outcome)).not.toContain('notCarried');
    expect(objects).toHaveLength(COUNT);

    // Adds only the cluster and the audit to the imported configuration.
    await writeFile(join(folder, 'base.yaml'), baseText(kubeconfig));
    const config = ['--config', 'base.yaml', '--config', 'imported.yaml'];
    const valid = await cluster.run('validate', ...config);
    expect(valid).toMatchObject({ code: 0 });
    const rbac = await cluster.run(
      'rbac',
      ...config,
      '--service-account',
      `${account.namespace}/${account.name}`,
    );
    await cluster.apply(rbac.stdout);
    await until(async () => !(await cluster.run('doctor', ...config)).stdout.includes('CLUSTER_FORBIDDEN'));

    const planned = await cluster.run('plan', ...config, '--output', 'json');
    const plan = JSON.parse(planned.stdout) as {
      targets: readonly {
        secret: string;
        action: string;
        keys: readonly { name: string; action: string }[];
      }[];
    };
    expect(plan.targets).toHaveLength(COUNT);
    for (const { secret, action, keys } of plan.targets)
      expect([secret, action, [...new Set(keys.map((key) => key.action))]]).toEqual([
        secret,
        'update',
        ['keep'],
      ]);
    expect(await list()).toEqual(before);

    const synced = syncReport(await cluster.run('sync', ...config, '--output', 'json'));
    expect(synced).toMatchObject({ code: 0, summary: { updated: COUNT, created: 0, deleted: 0 } });
    const after = await list();
    for (const [index, secret] of after.entries()) {
      expect(secret.data).toEqual(before[index]?.data);
      expect(secret.metadata.ownerReferences).toBeUndefined();
      expect(secret.metadata.labels).toMatchObject({
        'app.kubernetes.io/managed-by': 'secretbridge',
        'secretbridge.dev/instance': 'moved',
      });
    }

    for (const { metadata } of before) {
      const path = `${GROUP}/namespaces/${namespace}/externalsecrets/${metadata.name}`;
      const headers = { 'content-type': 'application/merge-patch+json' };
      await request('PATCH', path, { metadata: { finalizers: null } }, headers);
      await request('DELETE', path);
    }
    expect(
      (await cluster.get<{ items: [] }>(`${GROUP}/namespaces/${namespace}/externalsecrets`)).items,
    ).toEqual([]);
    expect(await list()).toEqual(after);
    expect(await cluster.run('plan', ...config)).toMatchObject({ code: 0 });
  });
});

describe('keys merged into a foreign Secret', () => {
  it('the merged keys follow the store after the user releases these keys from the External Secrets Operator, as the import report explains', async () => {
    await using cluster = await openExternalSecretsCluster();
    const { namespace, account, kubeconfig, folder, vault } = cluster;
    const { request } = kubernetes();
    await vault.put('shared', { token: 'first' });
    const key = `${vault.prefix}/shared`;
    await cluster.createExternalSecret(
      'shared',
      {
        data: [{ secretKey: 'TOKEN', remoteRef: { key, property: 'token' } }],
        target: { creationPolicy: 'Merge' },
      },
      { OTHER: 'theirs' },
    );
    const path = `/api/v1/namespaces/${namespace}/secrets/shared`;
    const operatorManager = 'externalsecrets.external-secrets.io/shared';
    const patch = { 'content-type': 'application/merge-patch+json' };
    const body = { stringData: { TOKEN: 'first' } };
    expect((await request('PATCH', `${path}?fieldManager=${operatorManager}`, body, patch)).status).toBe(200);

    await cluster.allowList();
    const command = ['import', 'external-secrets', '--own-namespace', account.namespace];
    await until(async () => (await cluster.run(...command)).stderr.includes(`${namespace}/shared`));
    const { stdout, stderr } = await cluster.run(...command);
    expect(stderr).toContain('Release merged keys');
    await writeFile(join(folder, 'imported.yaml'), stdout);
    await writeFile(join(folder, 'base.yaml'), baseText(kubeconfig));
    const config = ['--config', 'base.yaml', '--config', 'imported.yaml'];
    const rbac = await cluster.run(
      'rbac',
      ...config,
      '--service-account',
      `${account.namespace}/secretbridge`,
    );
    await cluster.apply(rbac.stdout);
    await until(async () => !(await cluster.run('doctor', ...config)).stdout.includes('CLUSTER_FORBIDDEN'));
    const sync = async () => syncReport(await cluster.run('sync', ...config, '--output', 'json'));
    expect(await sync()).toMatchObject({ code: 0 });

    await vault.put('shared', { token: 'second' });
    expect(await sync()).toMatchObject({ targets: [{ code: 'CONFLICT' }] });
    const live = await cluster.get<{ metadata: { managedFields: readonly { manager: string }[] } }>(path);
    const managedFields = live.metadata.managedFields.filter(({ manager }) => manager !== operatorManager);
    expect(managedFields).toHaveLength(live.metadata.managedFields.length - 1);
    const replaced = await request('PUT', path, { ...live, metadata: { ...live.metadata, managedFields } });
    expect(replaced.status).toBe(200);
    expect(await sync()).toMatchObject({ code: 0 });
    const { data } = await cluster.get<Raw>(path);
    expect(data).toEqual({
      OTHER: Buffer.from('theirs').toString('base64'),
      TOKEN: Buffer.from('second').toString('base64'),
    });
  });
});

describe('an import with limited rights', () => {
  it('imports the objects that the account is allowed to list, and reports the objects that it is not allowed to list', async () => {
    await using cluster = await openExternalSecretsCluster();
    const { account } = cluster;
    await cluster.allowList(account.namespace);
    const run = () => cluster.run('import', 'external-secrets', '--output', 'json');
    await until(async () => (await run()).stdout.includes('no permission to list namespaces'));
    await until(async () => !(await run()).stdout.includes('no permission to list in namespace'));
    const { code, stdout } = await run();
    expect(code).toBe(4);
    const { unreadable } = JSON.parse(stdout) as { unreadable: readonly string[] };
    expect(unreadable.toSorted()).toEqual([
      'ClusterExternalSecret: no permission to list',
      'ClusterSecretStore: no permission to list',
      `no permission to list namespaces, so only ${account.namespace} was searched`,
    ]);
  });
});
