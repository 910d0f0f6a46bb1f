import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { everythingIn, MARKER } from '../../conformance/provider.ts';
import { FAULTS } from '../../fakes/azure-server/faults.ts';
import { leaksIn } from '../leaks.ts';
import { BY_SECRET, CLIENT_SECRET, openAzure } from './harness.ts';

const VENDOR = ["a text of the vendor's", 'AADSTS', 'Sign in', 'aka.ms'];

describe('errors of Key Vault contain no secret and no vendor text', () => {
  it.each(FAULTS)('after "%s", during login, read and proof of absence', async (fault) => {
    for (const line of [/^authority POST/, /\/secrets\/a$|deletedsecrets/]) {
      await using store = await openAzure();
      store.server.secrets.put('a', MARKER);
      store.server.secrets.put('b', MARKER);
      store.server.deny(/secrets\/b/);
      store.server.fail(fault, line);
      const results = await store.provider.read([
        { key: 'a' },
        { key: 'a', object: 'certificate' },
        { key: 'b' },
        { key: 'none' },
      ]);
      const checks = await store.provider.check();
      const shown = everythingIn(
        [...results, ...checks].filter((result) => !('kind' in result) || result.kind !== 'found'),
      );
      const secrets = [MARKER, CLIENT_SECRET, ...store.server.login.issued];
      expect(leaksIn(shown, secrets)).toEqual([]);
      for (const text of VENDOR) expect(shown).not.toContain(text);
    }
  });
});

const SCRIPT = `
  import { AzureConfig } from './src/providers/azure-key-vault/config.ts';
  import { azureKeyVault } from './src/providers/azure-key-vault/index.ts';
  import { testDeps } from './test/conformance/provider-deps.ts';
  const config = AzureConfig.parse(JSON.parse(process.env.CONFIG));
  const provider = await azureKeyVault.create(config, testDeps({ env: process.env }));
  const results = await provider.read([{ key: 'a' }, { key: 'none' }, { key: 'b', object: 'certificate' }]);
  console.log(results.map(({ kind }) => kind).join());
`;

describe('a process with a Key Vault store', () => {
  it.each([{}, { NODE_EXTRA_CA_CERTS: true }])(
    'prints nothing that it sends, even with the vendor’s logs enabled, and exits by itself %j',
    async (how) => {
      await using store = await openAzure();
      store.server.secrets.put('a', MARKER);
      store.server.secrets.put('b', MARKER);
      const caFile = join(store.folder, 'authority.pem');
      await writeFile(caFile, store.server.ca);
      const trust = how.NODE_EXTRA_CA_CERTS === true ? {} : { tls: { caFile } };
      const config = { kind: 'azure-key-vault', vaultUrl: store.server.address, ...BY_SECRET, ...trust };
      const { stdout, stderr } = await promisify(execFile)(
        process.execPath,
        ['--input-type=module-typescript', '--eval', SCRIPT],
        {
          timeout: 15_000,
          env: {
            CONFIG: JSON.stringify(config),
            CLIENT_SECRET,
            AZURE_AUTHORITY_HOST: store.server.authorityHost,
            AZURE_LOG_LEVEL: 'verbose',
            DEBUG: '*',
            ...(how.NODE_EXTRA_CA_CERTS === true ? { NODE_EXTRA_CA_CERTS: caFile } : {}),
          },
        },
      );
      expect(stdout).toBe('found,absent,failed\n');
      expect(leaksIn(stderr, [MARKER, CLIENT_SECRET, ...store.server.login.issued])).toEqual([]);
    },
  );
});
