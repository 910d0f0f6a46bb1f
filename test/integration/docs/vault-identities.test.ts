import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { markedBlock, openPageShell } from '../../docs/page-shell.ts';
import { installProgram, startServer } from '../providers/vault-harness.ts';
import { kubernetes, vaultServer } from '../services/inject.ts';
import { HELM_NOTE, installFromLayer, isHelmAvailable } from '../services/kubectl-layer.ts';
import { replaceAllOf, yamlWith } from './page-blocks.ts';

const ANYWHERE = 'docs/how-to/identity-anywhere.md';
/** The blocks of the page that this test runs. */
const BLOCKS = ['policy', 'reviewer', 'kubernetes', 'discovery', 'jwt'];

describe(`logins to ${vaultServer().product} with a token of the cluster`, () => {
  it.skipIf(!isHelmAvailable)(
    `logins succeed as documented, and only for this service account and this audience${HELM_NOTE}`,
    async () => {
      const cluster = kubernetes();
      const suffix = randomBytes(4).toString('hex');
      await using server = await startServer();
      const programs = {
        kubectl: await installFromLayer('kubectl'),
        vault: (await installProgram()).path,
      };
      await using shell = await openPageShell(programs);
      const env = {
        KUBECONFIG: cluster.kubeconfig,
        VAULT_ADDR: server.address,
        VAULT_TOKEN: server.token,
      };
      // Names in the shared cluster must be unique to this test.
      const withOwnNames = (script: string) =>
        script
          .replaceAll(/\bnamespace secretbridge\b/g, `namespace secretbridge-${suffix}`)
          .replaceAll(
            /(namespaces=|serviceaccount[: ]|system:serviceaccount:)secretbridge\b/g,
            `$1secretbridge-${suffix}`,
          )
          .replaceAll(/\bclusterrolebinding (\S+)/g, `clusterrolebinding $1-${suffix}`)
          .replaceAll('https://kubernetes.internal:6443', cluster.address);
      const run = async (script: string): Promise<string> => {
        const result = await shell.run(withOwnNames(script), env);
        expect(result, script).toMatchObject({ code: 0 });
        return result.stdout;
      };
      for (const mark of BLOCKS) await run(await markedBlock(ANYWHERE, mark));
      await run('vault kv put secret/payments/db password=first');

      const token = (name: string, audience: string) =>
        run(`kubectl create token ${name} --namespace secretbridge --audience ${audience} > token`);
      const doctor = async (part: string): Promise<string> => {
        const config = replaceAllOf(await yamlWith(ANYWHERE, part), {
          'https://vault.internal:8200': server.address,
          '{ kind: kubernetes, scope: names }': '{ kind: directory, path: ./cluster }',
          '/var/run/secrets/vault/token': './token',
        });
        await shell.write('secretbridge.yaml', config);
        const { stdout } = await shell.run('secretbridge doctor', {});
        return stdout;
      };
      for (const part of ['tokenFile: /var/run/secrets/vault/token', 'mountPath: prod-cluster']) {
        await token('bridge-secretbridge', 'vault');
        // The API server applies new rights after a moment.
        await expect.poll(() => doctor(part), { timeout: 15_000 }).toContain('All checks passed.');
        for (const [name, audience] of [
          ['bridge-secretbridge', 'elsewhere'],
          ['vault-auth', 'vault'],
        ] as const) {
          await token(name, audience);
          expect(await doctor(part), `${part} ${name} ${audience}`).toMatch(/login\n +AUTH_FAILED/);
        }
      }
    },
  );
});
