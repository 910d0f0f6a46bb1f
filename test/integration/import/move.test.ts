import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Raw } from '../e2e/bench.ts';
import { syncReport } from '../e2e/program.ts';
import { kubernetes } from '../services/inject.ts';
import { GROUP, openTheirCluster, type TheirCluster, until } from './their-cluster.ts';

const COUNT = 30;

interface Case {
  readonly spec: (key: string) => object;
  /** What their operator writes for `{ user, password, pem }`. */
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
];

async function fill(cluster: TheirCluster): Promise<void> {
  for (let at = 0; at < COUNT; at += 1) {
    const { spec, data } = CASES[at % CASES.length] ?? { spec: () => ({}), data: {} };
    await cluster.vault.put(`app-${at}`, FIELDS);
    await cluster.external(`app-${at}`, spec(`${cluster.vault.prefix}/app-${at}`), data);
  }
}

describe('a move from their operator', () => {
  it('takes every Secret over without a byte changed, and outlives their objects', async () => {
    await using cluster = await openTheirCluster();
    const { namespace, account, kubeconfig, folder } = cluster;
    const { request } = kubernetes();
    await fill(cluster);
    await cluster.letList();
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
    const ours = report.objects.filter((it) => it.namespace === namespace);
    expect(ours.map(({ outcome }) => outcome)).not.toContain('notCarried');
    expect(ours).toHaveLength(COUNT);

    // Beside what was imported, only where the cluster is.
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
    await until(async () => (await cluster.run('doctor', ...config)).code === 0);

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
    for (const [at, secret] of after.entries()) {
      expect(secret.data).toEqual(before[at]?.data);
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

describe('keys that are merged into the Secret of another', () => {
  it('can change once the entries of their controller are dropped, as the report says', async () => {
    await using cluster = await openTheirCluster();
    const { namespace, account, kubeconfig, folder, vault } = cluster;
    const { request } = kubernetes();
    await vault.put('shared', { token: 'first' });
    const key = `${vault.prefix}/shared`;
    await cluster.external(
      'shared',
      {
        data: [{ secretKey: 'TOKEN', remoteRef: { key, property: 'token' } }],
        target: { creationPolicy: 'Merge' },
      },
      { OTHER: 'theirs' },
    );
    const path = `/api/v1/namespaces/${namespace}/secrets/shared`;
    const theirs = 'externalsecrets.external-secrets.io/shared';
    const patch = { 'content-type': 'application/merge-patch+json' };
    const body = { stringData: { TOKEN: 'first' } };
    expect((await request('PATCH', `${path}?fieldManager=${theirs}`, body, patch)).status).toBe(200);

    await cluster.letList();
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
    await until(async () => (await cluster.run('doctor', ...config)).code === 0);
    const sync = async () => syncReport(await cluster.run('sync', ...config, '--output', 'json'));
    expect(await sync()).toMatchObject({ code: 0 });

    await vault.put('shared', { token: 'second' });
    expect(await sync()).toMatchObject({ targets: [{ code: 'CONFLICT' }] });
    const live = await cluster.get<{ metadata: { managedFields: readonly { manager: string }[] } }>(path);
    const managedFields = live.metadata.managedFields.filter(({ manager }) => manager !== theirs);
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

function baseText(kubeconfig: string): string {
  return `apiVersion: secretbridge.dev/v1
cluster: { kind: kubernetes, scope: names, kubeconfig: ${kubeconfig} }
audit: { store: { kind: sqlite, path: ./state/audit.db } }
`;
}

describe('a reader of the cluster without all rights', () => {
  it('imports what it may list, and names what it may not', async () => {
    await using cluster = await openTheirCluster();
    const { account } = cluster;
    await cluster.letList(account.namespace);
    const run = () => cluster.run('import', 'external-secrets', '--output', 'json');
    await until(async () => (await run()).stdout.includes('namespaces may not be listed'));
    await until(async () => !(await run()).stdout.includes('may not be listed in namespace'));
    const { code, stdout } = await run();
    expect(code).toBe(4);
    const { unreadable } = JSON.parse(stdout) as { unreadable: readonly string[] };
    expect(unreadable.toSorted()).toEqual([
      'ClusterExternalSecret: may not be listed',
      'ClusterSecretStore: may not be listed',
      `namespaces may not be listed, so only ${account.namespace} was looked at`,
    ]);
  });
});
