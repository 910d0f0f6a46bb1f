import { ClientSecretCredential } from '@azure/identity';
import { CertificateClient } from '@azure/keyvault-certificates';
import { KeyClient } from '@azure/keyvault-keys';
import { isRestError, SecretClient, type SecretClientOptions } from '@azure/keyvault-secrets';
import { TENANT } from './login.ts';
import { startAzureServer } from './server.ts';

/** Creates the vendor's clients with the vendor's own HTTP transport. */
export async function openClients(now?: () => number) {
  const server = await startAzureServer(now === undefined ? {} : { now });
  server.login.applications.set('client', { secret: 's3cret', assertion: 'a.jwt' });
  const options = {
    tlsOptions: { ca: server.ca },
    retryOptions: { maxRetries: 0 },
    authorityHost: server.authorityHost,
    disableInstanceDiscovery: true,
    disableChallengeResourceVerification: true,
  } satisfies SecretClientOptions & { authorityHost: string; disableInstanceDiscovery: boolean };
  const credential = new ClientSecretCredential(TENANT, 'client', 's3cret', options);
  return {
    server,
    options,
    credential,
    secrets: new SecretClient(server.address, credential, options),
    keys: new KeyClient(server.address, credential, options),
    certificates: new CertificateClient(server.address, credential, options),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** Returns the status and the codes of the error that a request fails with. */
export async function refusal(promise: Promise<unknown>) {
  const error = await promise.catch((thrown: unknown) => thrown);
  if (!isRestError(error)) throw error;
  return { status: error.statusCode, code: error.code, details: error.details };
}
