import { AppError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret-value.ts';
import type { Reference } from '../credentials.ts';
import type { ProviderDeps } from '../provider.ts';
import {
  type Answer,
  badAnswer,
  errorTexts,
  member,
  numberOf,
  parseAnswer,
  textOf,
  tryParse,
} from './answer.ts';
import type { VaultClient } from './client.ts';
import type { VaultAuth, VaultConfig } from './config.ts';
import { fromStatus } from './errors.ts';
import { encodePath } from './paths.ts';

/** What a login gives. */
export interface Grant {
  readonly token: SecretValue;
  /** Undefined: it does not end, or the server does not tell. */
  readonly ttlMs: number | undefined;
  readonly renewable: boolean;
  /** Whether the server has just accepted it; false also when it may not look itself up. */
  readonly accepted: boolean;
  /** Whether it is ours to revoke: made by a login, not given to us. */
  readonly own: boolean;
}

/**
 * @param refused The token that the server no longer accepts.
 * @throws AppError AUTH_FAILED, CREDENTIAL_MISSING, or whatever kept the server from answering.
 */
export type Login = (signal: AbortSignal, refused?: SecretValue) => Promise<Grant>;

export function createLogin(config: VaultConfig, client: VaultClient, deps: ProviderDeps): Login {
  const { auth } = config;
  switch (auth.method) {
    case 'token':
      return tokenLogin(auth, client, deps);
    case 'appRole':
      return appRoleLogin(auth, client, deps);
    default:
      throw new AppError('CONFIG_INVALID', { detail: `auth.method ${auth.method} is not in this version` });
  }
}

function tokenLogin(
  auth: Extract<VaultAuth, { method: 'token' }>,
  client: VaultClient,
  deps: ProviderDeps,
): Login {
  return async (signal, refused) => {
    const token = await deps.credential(auth.token); // read afresh: the file may hold a new one by now
    if (refused?.equals(token))
      throw new AppError('AUTH_FAILED', { detail: 'the token is not valid or has ended' });
    const answer = await lookUp(client, token, signal);
    // 403: not valid, or merely without the right to look itself up. The first read tells.
    if (answer.status === 403)
      return { token, ttlMs: undefined, renewable: false, accepted: false, own: false };
    const data = member(parseAnswer(success(answer)), 'data');
    const ttl = numberOf(member(data, 'ttl'));
    if (ttl === undefined) throw badAnswer('a token without `ttl`');
    return {
      token,
      ...lifetime(ttl, member(data, 'renewable')?.kind === 'true'),
      accepted: true,
      own: false,
    };
  };
}

function appRoleLogin(
  auth: Extract<VaultAuth, { method: 'appRole' }>,
  client: VaultClient,
  deps: ProviderDeps,
): Login {
  let unwrapped: SecretValue | undefined; // a wrapping token works once, and logins may be needed again
  const secretId = async (signal: AbortSignal): Promise<SecretValue> => {
    const value = await deps.credential(auth.secretId);
    if (!auth.secretIdWrapped) return value;
    unwrapped ??= await unwrap(client, value, signal);
    return unwrapped;
  };
  return async (signal) => {
    const body = {
      role_id: await identifier(auth.roleId, deps),
      secret_id: text(await secretId(signal)),
      mount_point: encodePath(auth.mountPath ?? 'approle'),
    };
    const answer = await client.call(
      (vault, requestOptions) => vault.approleLogin({ ...body, requestOptions }),
      { signal },
    );
    return grantOf(answer);
  };
}

/** The secret id inside a response-wrapping token. */
async function unwrap(client: VaultClient, wrapping: SecretValue, signal: AbortSignal): Promise<SecretValue> {
  const answer = await client.call((vault, requestOptions) => vault.unwrap({ requestOptions }), {
    token: wrapping,
    signal,
  });
  if (answer.status === 400 || answer.status === 403) {
    throw new AppError('AUTH_FAILED', { detail: 'the wrapped secret id was used before or has ended' });
  }
  const value = textOf(member(parseAnswer(success(answer)), 'data', 'secret_id'));
  if (value === undefined) throw badAnswer('a wrapping token without a secret id');
  return SecretValue.fromText(value);
}

export function lookUp(client: VaultClient, token: SecretValue, signal: AbortSignal): Promise<Answer> {
  return client.call((vault, requestOptions) => vault.tokenLookupSelf({ requestOptions }), { token, signal });
}

/** The `auth` member that logins and renewals answer with. */
export function grantOf(answer: Answer): Grant {
  const { status } = answer;
  // 400 and 403 are how the server says "wrong credentials", and also "no such login method".
  if (status === 400 || status === 403 || (status === 404 && !isNamespaceMissing(answer))) {
    throw new AppError('AUTH_FAILED', { detail: 'the login was refused' });
  }
  const auth = member(parseAnswer(success(answer)), 'auth');
  const token = textOf(member(auth, 'client_token'));
  const ttl = numberOf(member(auth, 'lease_duration'));
  if (token === undefined || token === '' || ttl === undefined) throw badAnswer('a login without a token');
  const renewable = member(auth, 'renewable')?.kind === 'true';
  return { token: SecretValue.fromText(token), ...lifetime(ttl, renewable), accepted: true, own: true };
}

function isNamespaceMissing(answer: Answer): boolean {
  return errorTexts(tryParse(answer))?.some((error) => error.includes('namespace not found')) ?? false;
}

/** @param ttl Seconds; 0 for a token that does not end. */
function lifetime(ttl: number, renewable: boolean): Pick<Grant, 'ttlMs' | 'renewable'> {
  return ttl > 0 ? { ttlMs: ttl * 1000, renewable } : { ttlMs: undefined, renewable: false };
}

function success(answer: Answer): Answer {
  if (answer.status === 200) return answer;
  throw fromStatus(answer);
}

async function identifier(value: string | Reference, deps: ProviderDeps): Promise<string> {
  return typeof value === 'string' ? value : text(await deps.credential(value));
}

function text(value: SecretValue): string {
  return Buffer.from(value.reveal()).toString('utf8');
}
