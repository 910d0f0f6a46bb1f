import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TENANT } from '../../fakes/azure-server/login.ts';
import {
  type AzureServer,
  type AzureServerOptions,
  startAzureServer,
} from '../../fakes/azure-server/server.ts';

const CLIENT = '22222222-2222-4222-8222-222222222222';
export const CLIENT_SECRET = 'cL13nt~s3cr3t';

export interface AzureStore extends AsyncDisposable {
  readonly server: AzureServer;
  /** The store configuration without its `name`. */
  readonly store: Readonly<Record<string, unknown>>;
  /** The environment variables with the credentials for the store. */
  readonly env: Readonly<Record<string, string>>;
}

/** A fake Key Vault with one application that may log in. */
export async function openAzureStore(options: AzureServerOptions = {}): Promise<AzureStore> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startAzureServer(options));
  server.login.applications.set(CLIENT, { secret: CLIENT_SECRET });
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-ca-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, server.ca);
  const auth = {
    method: 'clientSecret',
    tenantId: TENANT,
    clientId: CLIENT,
    clientSecret: { env: 'CLIENT_SECRET' },
  };
  const owned = stack.move();
  return {
    server,
    store: { kind: 'azure-key-vault', vaultUrl: server.address, tls: { caFile }, auth },
    env: { CLIENT_SECRET, AZURE_AUTHORITY_HOST: server.authorityHost },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
