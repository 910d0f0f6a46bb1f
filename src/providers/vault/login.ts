import { AppError, assertNever } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { ifPresent, type Reference } from '../credentials.ts';
import type { ProviderDeps } from '../provider.ts';
import type { Command, VaultClient } from './client.ts';
import type { VaultAuth, VaultConfig } from './config.ts';
import { type Grant, grantOf, grantOfConfiguredToken, unwrap } from './grant.ts';
import { encodePath } from './paths.ts';
import { lastUnwrappedAt, unwrapOnce } from './unwrap-cache.ts';

/** The path where Kubernetes mounts and rotates a pod's service account token. */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export interface Login {
  /**
   * Logs in. Reads the credentials on each attempt, so that rotated credentials are used.
   * @param refused A token that the server no longer accepts.
   * @throws AppError AUTH_FAILED, CREDENTIAL_MISSING, or the error of the failed request.
   */
  attempt(signal: AbortSignal, refused?: SecretValue): Promise<Grant>;
  /** Whether the credentials have changed since the last attempt. */
  hasNewCredentials(): Promise<boolean>;
  /**
   * Whether the server may lock the account after a few more attempts like the last one. A locked account would stop
   * its other users too.
   */
  readonly mayLock: boolean;
}

/** Login methods whose accounts Vault and OpenBao can lock. An account is a user or an AppRole role. */
const LOCKABLE: ReadonlySet<VaultAuth['method']> = new Set(['appRole', 'ldap', 'userpass']);

type Auth<Method extends VaultAuth['method']> = Extract<VaultAuth, { method: Method }>;
type Credential = ProviderDeps['credential'];
/** Creates a login request with the current credentials. */
type Prepare = (signal: AbortSignal) => Promise<Command>;

export function createLogin(config: VaultConfig, client: VaultClient, deps: ProviderDeps): Login {
  const { credential, hasChanged } = trackCredentials(deps.credential);
  let isCounted = false;
  const attempt = attemptOf(config, client, credential, (wasCounted) => {
    isCounted = wasCounted;
  });
  return {
    attempt,
    hasNewCredentials: hasChanged,
    get mayLock() {
      return isCounted && LOCKABLE.has(config.auth.method);
    },
  };
}

/**
 * @param count Called with true if the server counted the attempt as a failed login with wrong credentials, otherwise
 * with false.
 */
function attemptOf(
  config: VaultConfig,
  client: VaultClient,
  credential: Credential,
  count: (isCounted: boolean) => void,
): Login['attempt'] {
  const { auth } = config;
  if (auth.method === 'token') return tokenLogin(auth, client, credential);
  const prepare = prepareLogin(auth, { ...config, client, credential });
  return async (signal) => {
    count(false); // the server does not count unwrapping as a login
    const command = await prepare(signal);
    const answer = await client.call(command, { signal, operation: 'login' });
    // The server counts only a 400 as wrong credentials. 403 means that the account is locked or the login method is
    // missing.
    count(answer.status === 400);
    return grantOf(answer, mountOf(auth));
  };
}

/** Resolves credentials. Remembers their values, and so notices changes. */
function trackCredentials(resolve: Credential) {
  const last = new Map<Reference, SecretValue | undefined>();
  return {
    async credential(reference: Reference): Promise<SecretValue> {
      last.set(reference, undefined);
      const value = await resolve(reference);
      last.set(reference, value);
      return value;
    },
    async hasChanged(): Promise<boolean> {
      for (const [reference, before] of last) {
        const now = await ifPresent(resolve(reference));
        if (before === undefined ? now !== undefined : now?.equals(before) !== true) return true;
      }
      return false;
    },
  };
}

interface LoginContext extends Pick<VaultConfig, 'address' | 'namespace'> {
  readonly client: VaultClient;
  readonly credential: Credential;
}

function prepareLogin(auth: Exclude<VaultAuth, Auth<'token'>>, context: LoginContext): Prepare {
  const { client, credential } = context;
  switch (auth.method) {
    case 'appRole':
      return appRole(auth, context);
    case 'userpass':
    case 'ldap':
      return password(auth, credential);
    case 'jwt':
      return bearer(auth, auth.jwt, credential);
    case 'kubernetes':
      return bearer(auth, { file: auth.tokenFile ?? SERVICE_ACCOUNT_TOKEN }, credential);
    case 'cert':
      return certificate(auth, client, credential);
    default:
      return assertNever(auth);
  }
}

function tokenLogin(auth: Auth<'token'>, client: VaultClient, credential: Credential): Login['attempt'] {
  return async (signal, refused) => {
    const token = await credential(auth.token);
    if (refused?.equals(token))
      throw new AppError('AUTH_FAILED', { detail: 'the token is invalid or has expired' });
    return grantOfConfiguredToken(client, token, signal);
  };
}

/** https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle */
function appRole(auth: Auth<'appRole'>, context: LoginContext): Prepare {
  const { credential } = context;
  const secretId = auth.secretIdWrapped ? unwrappedOnce(auth, context) : () => credential(auth.secretId);
  return async (signal) => {
    const body = {
      role_id: await identifier(auth.roleId, credential),
      secret_id: text(await secretId(signal)),
      mount_point: encodePath(mountOf(auth)),
    };
    return (vault, requestOptions) => vault.approleLogin({ ...body, requestOptions });
  };
}

/**
 * Returns a function that returns the secret ID. It unwraps the wrapping token only once, because the token works only
 * once, but several logins need the secret ID. It keeps the secret ID in memory, even if the token is removed after its
 * use. If another token appears at the same location, the function unwraps this token too.
 */
function unwrappedOnce(auth: Auth<'appRole'>, { address, namespace, client, credential }: LoginContext) {
  // The location includes the server, because the secret ID may be sent only to the server that issued it.
  const location = JSON.stringify([address, auth.namespace ?? namespace, mountOf(auth), auth.secretId]);
  return async (signal: AbortSignal): Promise<SecretValue> => {
    const lastToken = lastUnwrappedAt(location);
    const configuredToken = credential(auth.secretId);
    const wrapping =
      lastToken === undefined ? await configuredToken : ((await ifPresent(configuredToken)) ?? lastToken);
    return unwrapOnce(location, wrapping, () => unwrap(client, wrapping, signal));
  };
}

/** https://developer.hashicorp.com/vault/api-docs/auth/userpass#login and …/auth/ldap#login-with-ldap-user */
function password(auth: Auth<'userpass'> | Auth<'ldap'>, credential: Credential): Prepare {
  return async () => {
    const body = {
      username: encodePath(await identifier(auth.username, credential)),
      password: text(await credential(auth.password)),
      mount_point: encodePath(mountOf(auth)),
    };
    return (vault, requestOptions) =>
      auth.method === 'ldap'
        ? vault.ldapLogin({ ...body, requestOptions })
        : vault.userpassLogin({ ...body, requestOptions });
  };
}

/** https://developer.hashicorp.com/vault/api-docs/auth/jwt#jwt-login and …/auth/kubernetes#login */
function bearer(auth: Auth<'jwt'> | Auth<'kubernetes'>, token: Reference, credential: Credential): Prepare {
  return async () => {
    const body = {
      role: auth.role,
      jwt: text(await credential(token)),
      mount_point: encodePath(mountOf(auth)),
    };
    return (vault, requestOptions) =>
      auth.method === 'jwt'
        ? vault.jwtLogin({ ...body, requestOptions })
        : vault.kubernetesLogin({ ...body, requestOptions });
  };
}

/**
 * https://developer.hashicorp.com/vault/api-docs/auth/cert#login-with-tls-certificate-method. The credential is the
 * client certificate of the TLS connection. node-vault's `certLogin` is not used, because it supports neither a custom
 * mount nor a role.
 */
function certificate(auth: Auth<'cert'>, client: VaultClient, credential: Credential): Prepare {
  const { role } = auth;
  const files = [{ file: auth.certFile }, { file: auth.keyFile }];
  const path = `auth/${encodePath(mountOf(auth))}/login`;
  return async () => {
    await Promise.all(files.map(credential)); // this only reports missing files, because the connection itself reads them
    client.reconnect(); // existing connections still use the old certificate
    const body = role === undefined ? {} : { name: role };
    return (vault, requestOptions) => vault.write(path, body, requestOptions);
  };
}

/** The mount of the login method, without `auth/`. */
function mountOf({ method, mountPath }: VaultAuth): string {
  return mountPath ?? (method === 'appRole' ? 'approle' : method);
}

async function identifier(value: string | Reference, credential: Credential): Promise<string> {
  return typeof value === 'string' ? value : text(await credential(value));
}

function text(value: SecretValue): string {
  return value.revealText();
}
