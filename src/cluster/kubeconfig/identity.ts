import type { RequestOptions } from 'node:https';
import { abortAfterGrace, unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { holdsCertificates, readAuthorities, readPem } from '../../core/small-file.ts';
import { resourceShortageOf } from '../../core/system-errors.ts';
import { LOGIN_REMEDY, unavailable } from '../errors.ts';
import type { Connection } from '../pool.ts';
import type { Cluster, User } from './entries.ts';
import { clusterOf, type Kubeconfig, userOf } from './kubeconfig.ts';
import { createOidc, isOidc, type OidcOptions } from './oidc.ts';
import { createPlugin, requireCredentials } from './plugin.ts';

/** How long an identity is reused before its credentials are checked again. */
export const IDENTITY_TTL_MS = 10_000;

/** The credentials that a request carries. */
export interface Identity {
  /** A header name may occur several times. */
  readonly headers: readonly (readonly [string, string])[];
  readonly connection: Connection;
}

/** Adds the credentials of a login to a request, as a header or as a client certificate. */
type ApplyLogin = (user: User, into: RequestOptions) => Promise<void>;

/** The default time limit of one login. After this time, the next request starts another login. */
const LOGIN_TIMEOUT_MS = 60_000;

export interface IdentityOptions {
  readonly clock: Clock;
  /** Aborting ends the processes and requests of a pending login. */
  readonly signal: AbortSignal;
  readonly loginMs?: number | undefined;
  /** Aborted when the process stops. */
  readonly stop?: AbortSignal | undefined;
}

/** Logs in with the method of the kubeconfig (token, certificate, plugin, OIDC), at most once in `IDENTITY_TTL_MS`. */
export function createIdentity(
  config: Kubeconfig,
  { clock, signal, loginMs = LOGIN_TIMEOUT_MS, stop }: IdentityOptions,
): () => Promise<Identity> {
  const user = userOf(config);
  let applyLogin: Promise<ApplyLogin> | undefined;
  let current: { readonly at: number; readonly value: Promise<Identity>; isUnderWay: boolean } | undefined;
  const identityOf = async (): Promise<Identity> => {
    const options: RequestOptions = {};
    const cluster = clusterOf(config);
    try {
      await addCertificates(options, cluster, user);
      if (user !== undefined) {
        // Create the login only once, because the login caches the plugin's credential while the credential is valid.
        applyLogin ??= createLogin(config, user, { clock, signal, timeoutMs: loginMs });
        await (await applyLogin)(user, options);
      }
    } catch (cause) {
      throw errorFromLogin(user, cause);
    }
    return { headers: headersOf(options, user), connection: connectionOf(options, cluster) };
  };
  return () => {
    const now = clock.now();
    // Use the absolute difference, so that a token expires even if the clock was set back.
    const age = current === undefined ? 0 : Math.abs(now - current.at);
    if (current === undefined || age >= (current.isUnderWay ? loginMs : IDENTITY_TTL_MS)) {
      const started = {
        at: now,
        value: unlessAborted(identityOf(), abortAfterGrace(stop)),
        isUnderWay: true,
      };
      const onEnd = () => {
        started.isUnderWay = false;
      };
      started.value.then(onEnd, onEnd);
      current = started;
    }
    return current.value;
  };
}

async function createLogin(config: Kubeconfig, user: User, options: OidcOptions): Promise<ApplyLogin> {
  const { exec, authProvider, token, username } = user;
  if (exec) return createPlugin({ ...options, cluster: clusterOf(config) });
  // Inline credentials take precedence over the login of an auth provider, because the credentials of the provider may
  // have expired.
  if (!authProvider || token || username) return async () => undefined;
  const tokenFile: unknown = authProvider.config?.tokenFile;
  if (typeof tokenFile === 'string') {
    return async (_, into) => {
      const token = (await readPem(tokenFile, missingCredentialOf(user))).trim();
      if (token !== '') into.headers = { Authorization: `Bearer ${token}` };
      requireCredentials(into);
    };
  }
  if (isOidc(user)) {
    const oidc = createOidc(user, options);
    return (_, into) => oidc(into);
  }
  return createLegacyLogin(authProvider.name);
}

/**
 * Logs in with a provider that is older than credential plugins. Loads single modules, because the complete client-node
 * takes 53 MiB.
 */
async function createLegacyLogin(provider: string): Promise<ApplyLogin> {
  const auth =
    provider === 'gcp'
      ? new (await import('@kubernetes/client-node/dist/gcp_auth.js')).GoogleCloudPlatformAuth()
      : new (await import('@kubernetes/client-node/dist/azure_auth.js')).AzureAuth();
  return async (user, into) => {
    into.headers = {};
    if (auth.isAuthProvider(user)) await auth.applyAuthentication(user, into);
    requireCredentials(into);
  };
}

const missingCredentialOf = ({ name }: User) =>
  ({ code: 'CREDENTIAL_MISSING', subject: `kubeconfig user ${name}` }) as const;

async function addCertificates(
  options: RequestOptions,
  cluster: Cluster | undefined,
  user: User | undefined,
): Promise<void> {
  const ca = cluster === undefined ? undefined : await authoritiesOf(cluster);
  const cert = user && (await textOf(user, user.certFile, user.certData));
  const key = user && (await textOf(user, user.keyFile, user.keyData));
  Object.assign(options, ca && { ca }, cert && { cert }, key && { key });
}

async function authoritiesOf({ name, caFile, caData }: Cluster): Promise<string | undefined> {
  const subject = `kubeconfig cluster ${name}`;
  // As in client-go, inline data takes precedence over a file. This rule also applies to the data of users.
  if (!caData) return caFile && readAuthorities(caFile, { code: 'CREDENTIAL_MISSING', subject });
  const text = fromBase64(caData);
  if (holdsCertificates(text)) return text;
  throw new AppError('CREDENTIAL_MISSING', {
    subject,
    detail: 'its `certificate-authority-data` holds no certificates in PEM',
  });
}

async function textOf(
  user: User,
  file: string | undefined,
  base64: string | undefined,
): Promise<string | undefined> {
  return base64 ? fromBase64(base64) : file && readPem(file, missingCredentialOf(user));
}

const fromBase64 = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

function headersOf({ headers }: RequestOptions, user: User | undefined): Identity['headers'] {
  const { token, username, password = '', impersonation = [] } = user ?? {};
  const all = {
    ...headers,
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
    ...(username
      ? { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` }
      : {}),
  };
  return [
    ...Object.entries(all).map(([name, value]) => [name, String(value).trim()] as const),
    ...impersonation,
  ];
}

function connectionOf(options: RequestOptions, cluster: Cluster | undefined): Connection {
  const { ca, cert, key } = options as Connection;
  return {
    ca,
    cert,
    key,
    servername: cluster?.tlsServerName,
    rejectUnauthorized: cluster?.skipTLSVerify ? false : undefined,
    proxy: cluster?.proxyUrl,
  };
}

function errorFromLogin(user: User | undefined, cause: unknown): AppError {
  // A shortage of files, memory or processes does not mean that the login is invalid.
  const shortage = resourceShortageOf(cause instanceof AppError ? cause.cause : cause);
  if (shortage !== undefined) return unavailable(`cannot log in: ${shortage}`, cause);
  if (cause instanceof AppError) return cause;
  const subject = `kubeconfig user ${user?.name}`;
  return new AppError('CLUSTER_FORBIDDEN', {
    subject,
    detail: 'the login failed',
    remedy: LOGIN_REMEDY,
    cause,
  });
}
