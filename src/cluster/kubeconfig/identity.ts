import type { RequestOptions } from 'node:https';
import { soonAfter, unlessAborted } from '../../core/abort.ts';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { holdsCertificates, readAuthorities, readPem } from '../../core/small-file.ts';
import { shortageOf } from '../../core/system-errors.ts';
import { LOG_IN, unavailable } from '../errors.ts';
import type { Connection } from '../pool.ts';
import type { Cluster, User } from './entries.ts';
import { clusterOf, type Kubeconfig, userOf } from './kubeconfig.ts';
import { createOidc, isOidc, type OidcOptions } from './oidc.ts';
import { createPlugin, requireLogin } from './plugin.ts';
import { createWholeLibrary } from './whole-library.ts';

/** Where an identity may have been renewed without our knowing, this is how long we go on with the old one. */
export const IDENTITY_MS = 10_000;

/** What a request carries to show who we are. */
export interface Identity {
  /** A name may come several times. */
  readonly headers: readonly (readonly [string, string])[];
  readonly connection: Connection;
}

/** Adds to a request what a login gives: a header, or a certificate. */
type LogIn = (user: User, into: RequestOptions) => Promise<void>;

/** How long a login may take until another one is begun. */
const LOGIN_MS = 60_000;

export interface IdentityOptions {
  readonly clock: Clock;
  /** Ends what a login still runs. */
  readonly signal: AbortSignal;
  readonly loginMs?: number | undefined;
  /** Of whoever waits for it, who is told to stop. */
  readonly stop?: AbortSignal | undefined;
}

/** Logs in as a kubeconfig says (tokens, certificates, plugins, OIDC), at most once in `IDENTITY_MS`. */
export function createIdentity(
  config: Kubeconfig,
  { clock, signal, loginMs = LOGIN_MS, stop }: IdentityOptions,
): () => Promise<Identity> {
  const user = userOf(config);
  let logIn: Promise<LogIn> | undefined;
  let known: { readonly at: number; readonly value: Promise<Identity>; isUnderWay: boolean } | undefined;
  const identityOf = async (): Promise<Identity> => {
    const options: RequestOptions = {};
    const cluster = clusterOf(config);
    try {
      await addFiles(options, cluster, user);
      if (user !== undefined) {
        // What a plugin gave is kept in there for as long as it is valid.
        logIn ??= loginOf(config, user, { clock, signal, timeoutMs: loginMs });
        await (await logIn)(user, options);
      }
    } catch (cause) {
      throw errorOfLogin(user, cause);
    }
    return { headers: headersOf(options, user), connection: connectionOf(options, cluster) };
  };
  return () => {
    const now = clock.now();
    // By distance: a clock that was set back must not keep a token that has expired.
    const age = known === undefined ? 0 : Math.abs(now - known.at);
    if (known === undefined || age >= (known.isUnderWay ? loginMs : IDENTITY_MS)) {
      const begun = { at: now, value: unlessAborted(identityOf(), soonAfter(stop)), isUnderWay: true };
      const ended = () => {
        begun.isUnderWay = false;
      };
      begun.value.then(ended, ended);
      known = begun;
    }
    return known.value;
  };
}

async function loginOf(config: Kubeconfig, user: User, options: OidcOptions): Promise<LogIn> {
  const { exec, authProvider, token, username } = user;
  if (exec) return createPlugin({ ...options, cluster: clusterOf(config) });
  // What stands in the kubeconfig is what is sent: a login beside it is for nothing, and may have ended.
  if (!authProvider || token || username) return async () => undefined;
  const tokenFile: unknown = authProvider.config?.tokenFile;
  if (typeof tokenFile === 'string') {
    return async (_, into) => {
      const token = (await readPem(tokenFile, credentialOf(user))).trim();
      if (token !== '') into.headers = { Authorization: `Bearer ${token}` };
      requireLogin(into);
    };
  }
  if (isOidc(user)) {
    const oidc = createOidc(user, options);
    return (_, into) => oidc(into);
  }
  return createWholeLibrary(config);
}

const credentialOf = ({ name }: User) =>
  ({ code: 'CREDENTIAL_MISSING', about: `kubeconfig user ${name}` }) as const;

async function addFiles(
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
  const about = `kubeconfig cluster ${name}`;
  // As client-go has it, here and of a user: what stands in the kubeconfig goes before a file that it names.
  if (!caData) return caFile && readAuthorities(caFile, { code: 'CREDENTIAL_MISSING', about });
  const text = fromBase64(caData);
  if (holdsCertificates(text)) return text;
  throw new AppError('CREDENTIAL_MISSING', {
    about,
    detail: 'its `certificate-authority-data` holds no certificates in PEM',
  });
}

async function textOf(
  user: User,
  file: string | undefined,
  base64: string | undefined,
): Promise<string | undefined> {
  return base64 ? fromBase64(base64) : file && readPem(file, credentialOf(user));
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

function errorOfLogin(user: User | undefined, cause: unknown): AppError {
  // Nothing is said about the login itself.
  const shortage = shortageOf(cause instanceof AppError ? cause.cause : cause);
  if (shortage !== undefined) return unavailable(`the login cannot be made: ${shortage}`, cause);
  if (cause instanceof AppError) return cause;
  const about = `kubeconfig user ${user?.name}`;
  return new AppError('CLUSTER_FORBIDDEN', {
    about,
    detail: 'its login failed',
    todo: LOG_IN,
    cause,
  });
}
