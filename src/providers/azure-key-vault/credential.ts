import { createPrivateKey } from 'node:crypto';
import type { ManagedIdentityCredential, TokenCredential } from '@azure/identity';
import { AppError } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { codeOf } from '../../core/system-errors.ts';
import { ifPresent, type Reference } from '../credentials.ts';
import type { ProviderDeps } from '../provider.ts';
import type { AzureConfig } from './config.ts';
import type { HttpClient } from './transport.ts';

export type Identity = typeof import('@azure/identity');
type Auth<Method extends AzureConfig['auth']['method']> = Extract<AzureConfig['auth'], { method: Method }>;

/** The login authorities of sovereign clouds. They do not accept tokens of other clouds. */
const SOVEREIGN: readonly (readonly [suffix: string, authorityHost: string])[] = [
  ['.vault.azure.cn', 'https://login.chinacloudapi.cn'],
  ['.vault.usgovcloudapi.net', 'https://login.microsoftonline.us'],
];

export interface Source {
  readonly config: AzureConfig;
  readonly deps: ProviderDeps;
  readonly identity: Identity;
  readonly httpClient: HttpClient;
}

interface Application {
  readonly tenantId: string;
  readonly clientId: string;
}

/**
 * Creates the configured credential. Called on each login, so that a rotated secret or file is used. Does not use the
 * SDK's default chain, because it starts developer tools.
 * @throws AppError CREDENTIAL_MISSING, AUTH_FAILED
 * @throws An SDK error for an invalid ID.
 */
export async function makeCredential(source: Source): Promise<TokenCredential> {
  const { auth } = source.config;
  const { deps } = source;
  const { managed, secret, certificate, federated } = await makers(source);
  switch (auth.method) {
    case 'clientSecret':
      return secret(await application(auth, deps), auth.clientSecret);
    case 'clientCertificate':
      return certificate(await application(auth, deps), auth.certificate);
    case 'workloadIdentity':
      return federated(await workload(auth, source), await tokenFile(auth, source));
    case 'managedIdentity':
      return managed(auth.clientId && (await identifier(auth.clientId, deps)));
    case 'default':
      return fromEnvironment(source, { managed, secret, certificate, federated });
  }
}

type Makers = Awaited<ReturnType<typeof makers>>;

async function makers(source: Source) {
  const { deps, identity, httpClient } = source;
  const options = {
    httpClient,
    retryOptions: { maxRetries: 0 },
    authorityHost: await authorityHost(source),
    // Otherwise the SDK would ask login.microsoftonline.com about each authority that it does not know.
    disableInstanceDiscovery: true,
  };
  return {
    secret: async ({ tenantId, clientId }: Application, reference: Reference) =>
      new identity.ClientSecretCredential(
        tenantId,
        clientId,
        text(await deps.credential(reference)),
        options,
      ),
    certificate: async ({ tenantId, clientId }: Application, reference: Reference, password?: string) => {
      const pem = text(await deps.credential(reference));
      checkKey(pem, password);
      const certificate = {
        certificate: pem,
        ...(password === undefined ? {} : { certificatePassword: password }),
      };
      return new identity.ClientCertificateCredential(tenantId, clientId, certificate, options);
    },
    federated: async ({ tenantId, clientId }: Application, file: string) => {
      const token = text(await deps.credential({ file })).trim();
      return new identity.ClientAssertionCredential(tenantId, clientId, async () => token, options);
    },
    managed: async (clientId: string | undefined) =>
      withoutTokenCache(
        new identity.ManagedIdentityCredential({
          ...options,
          ...(clientId === undefined ? {} : { clientId }),
        }),
      ),
  };
}

interface ManagedIdentity {
  acquireToken(request: { readonly resource: string; readonly forceRefresh?: boolean }): Promise<unknown>;
}

/**
 * Makes each login request a token. The SDK keeps the token of a managed identity for the whole process, and returns it
 * again after the vault has refused it. Only the MSAL object in the credential can skip this cache.
 */
function withoutTokenCache(credential: ManagedIdentityCredential): TokenCredential {
  const { managedIdentityApp: app } = credential as unknown as {
    readonly managedIdentityApp: ManagedIdentity;
  };
  const acquireToken = app.acquireToken.bind(app);
  app.acquireToken = (request) => acquireToken({ ...request, forceRefresh: true });
  return credential;
}

/**
 * Uses the first login method that is configured. The order is that of the SDK's default chain. Leaves out methods that
 * make no sense in a cluster.
 */
async function fromEnvironment(
  { deps }: Source,
  { secret, certificate, federated, managed }: Makers,
): Promise<TokenCredential> {
  const [tenantId, clientId, file] = await Promise.all(
    ['AZURE_TENANT_ID', 'AZURE_CLIENT_ID', 'AZURE_FEDERATED_TOKEN_FILE'].map((name) => variable(name, deps)),
  );
  if (tenantId === undefined || clientId === undefined) return managed(clientId);
  const application = { tenantId, clientId };
  if ((await variable('AZURE_CLIENT_SECRET', deps)) !== undefined) {
    return secret(application, { env: 'AZURE_CLIENT_SECRET' });
  }
  const path = await variable('AZURE_CLIENT_CERTIFICATE_PATH', deps);
  if (path !== undefined) {
    const password = await variable('AZURE_CLIENT_CERTIFICATE_PASSWORD', deps);
    return certificate(application, { file: path }, password);
  }
  return file === undefined ? managed(clientId) : federated(application, file);
}

async function workload(auth: Auth<'workloadIdentity'>, { deps }: Source): Promise<Application> {
  const { tenantId = { env: 'AZURE_TENANT_ID' }, clientId = { env: 'AZURE_CLIENT_ID' } } = auth;
  return application({ tenantId, clientId }, deps);
}

async function application(
  { tenantId, clientId }: { readonly tenantId: string | Reference; readonly clientId: string | Reference },
  deps: ProviderDeps,
): Promise<Application> {
  return { tenantId: await identifier(tenantId, deps), clientId: await identifier(clientId, deps) };
}

async function identifier(value: string | Reference, deps: ProviderDeps): Promise<string> {
  // Remove white space at both ends, such as a line end in a Secret.
  return typeof value === 'string' ? value : text(await deps.credential(value)).trim();
}

async function tokenFile(auth: Auth<'workloadIdentity'>, { deps }: Source): Promise<string> {
  return auth.tokenFile ?? text(await deps.credential({ env: 'AZURE_FEDERATED_TOKEN_FILE' }));
}

/**
 * Returns the configured login authority, or that of the vault's cloud. If the vault's address does not tell the cloud,
 * uses AZURE_AUTHORITY_HOST. Azure's workload identity webhook sets this variable to the authority of the cluster's cloud.
 */
async function authorityHost({ config, deps, identity }: Source): Promise<string> {
  if (config.authorityHost !== undefined) return config.authorityHost;
  const { hostname } = new URL(config.vaultUrl);
  const sovereign = SOVEREIGN.find(([suffix]) => hostname.endsWith(suffix))?.[1];
  const host = sovereign ?? (await variable('AZURE_AUTHORITY_HOST', deps));
  return host ?? identity.AzureAuthorityHosts.AzurePublicCloud;
}

async function variable(env: string, deps: ProviderDeps): Promise<string | undefined> {
  return (await ifPresent(deps.credential({ env })))?.revealText();
}

function checkKey(pem: string, password: string | undefined): void {
  try {
    createPrivateKey({ key: pem, ...(password === undefined ? {} : { passphrase: password }) });
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    const detail = 'the certificate has no readable private key (PEM, without a password)';
    throw new AppError('AUTH_FAILED', { detail });
  }
}

function text(value: SecretValue): string {
  return value.revealText();
}
