import { AppError, assertNever } from '../../core/errors.ts';
import type { SecretValue } from '../../core/secret-value.ts';
import { type Reference, unlessMissing } from '../credentials.ts';
import type { ProviderDeps } from '../provider.ts';
import type { Command, VaultClient } from './client.ts';
import type { VaultAuth, VaultConfig } from './config.ts';
import { type Grant, grantOf, grantOfGiven, unwrap } from './grant.ts';
import { encodePath } from './paths.ts';
import { lastOpenedAt, unwrapOnce } from './unwrapped.ts';

/** Where Kubernetes mounts the token of a pod's service account, and rotates it. */
const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

export interface Login {
  /**
   * Credentials are read afresh each time, so that one which was rotated is used from then on.
   * @param refused The token that the server no longer accepts.
   * @throws AppError AUTH_FAILED, CREDENTIAL_MISSING, or whatever kept the server from answering.
   */
  attempt(signal: AbortSignal, refused?: SecretValue): Promise<Grant>;
  /** Whether the credentials are other ones by now than at the last attempt. */
  hasNewCredentials(): Promise<boolean>;
  /** Whether the server may lock the account, also for others, after a few attempts like the last one. */
  readonly mayLock: boolean;
}

/** Those of which Vault and OpenBao lock the account: a user, or a role of AppRole. */
const LOCKABLE: ReadonlySet<VaultAuth['method']> = new Set(['appRole', 'ldap', 'userpass']);

type Auth<Method extends VaultAuth['method']> = Extract<VaultAuth, { method: Method }>;
type Credential = ProviderDeps['credential'];
/** The request of one login, with the credentials of now. */
type Prepare = (signal: AbortSignal) => Promise<Command>;

export function createLogin(config: VaultConfig, client: VaultClient, deps: ProviderDeps): Login {
  const { credential, hasChanged } = remembering(deps.credential);
  let isCounted = false;
  const attempt = attemptOf(config, client, credential, (is) => {
    isCounted = is;
  });
  return {
    attempt,
    hasNewCredentials: hasChanged,
    get mayLock() {
      return isCounted && LOCKABLE.has(config.auth.method);
    },
  };
}

/** @param count Is told whether the server took the attempt for one with wrong credentials. */
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
    count(false); // opening a wrapping token is no login
    const command = await prepare(signal);
    const answer = await client.call(command, { signal, operation: 'login' });
    // 403 is a locked account, or no such login method: right credentials are refused as well, and nothing is counted.
    count(answer.status === 400);
    return grantOf(answer, mountOf(auth));
  };
}

/** Keeps what the references led to, to see whether they lead elsewhere now. */
function remembering(resolve: Credential) {
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
        const now = await unlessMissing(resolve(reference));
        if (before === undefined ? now !== undefined : now?.equals(before) !== true) return true;
      }
      return false;
    },
  };
}

interface Ways extends Pick<VaultConfig, 'address' | 'namespace'> {
  readonly client: VaultClient;
  readonly credential: Credential;
}

function prepareLogin(auth: Exclude<VaultAuth, Auth<'token'>>, ways: Ways): Prepare {
  const { client, credential } = ways;
  switch (auth.method) {
    case 'appRole':
      return appRole(auth, ways);
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
      throw new AppError('AUTH_FAILED', { detail: 'the token is not valid or has ended' });
    return grantOfGiven(client, token, signal);
  };
}

/** https://developer.hashicorp.com/vault/api-docs/auth/approle#login-with-approle */
function appRole(auth: Auth<'appRole'>, ways: Ways): Prepare {
  const { credential } = ways;
  const secretId = auth.secretIdWrapped ? unwrappedOnce(auth, ways) : () => credential(auth.secretId);
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
 * A wrapping token works once, and logins are needed again: what was in it stays in memory, also when the token is
 * removed, as it may be after its use. Another token in its place is opened in its turn.
 */
function unwrappedOnce(auth: Auth<'appRole'>, { address, namespace, client, credential }: Ways) {
  // Without the token only the same server is given what was in it.
  const place = JSON.stringify([address, auth.namespace ?? namespace, mountOf(auth), auth.secretId]);
  return async (signal: AbortSignal): Promise<SecretValue> => {
    const known = lastOpenedAt(place);
    const reading = credential(auth.secretId);
    const wrapping = known === undefined ? await reading : ((await unlessMissing(reading)) ?? known);
    return unwrapOnce(place, wrapping, () => unwrap(client, wrapping, signal));
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
 * connection; node-vault's own `certLogin` knows no other mount and no role.
 */
function certificate(auth: Auth<'cert'>, client: VaultClient, credential: Credential): Prepare {
  const { role } = auth;
  const files = [{ file: auth.certFile }, { file: auth.keyFile }];
  const path = `auth/${encodePath(mountOf(auth))}/login`;
  return async () => {
    await Promise.all(files.map(credential)); // the connection reads them; here it is told that one is missing
    client.reconnect(); // a connection of before has the certificate of before
    const body = role === undefined ? {} : { name: role };
    return (vault, requestOptions) => vault.write(path, body, requestOptions);
  };
}

/** Without `auth/`. */
function mountOf({ method, mountPath }: VaultAuth): string {
  return mountPath ?? (method === 'appRole' ? 'approle' : method);
}

async function identifier(value: string | Reference, credential: Credential): Promise<string> {
  return typeof value === 'string' ? value : text(await credential(value));
}

function text(value: SecretValue): string {
  return value.revealText();
}
