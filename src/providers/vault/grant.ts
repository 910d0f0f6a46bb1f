import { AppError } from '../../core/errors.ts';
import { type JsonNode, member, textOf } from '../../core/json.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { type Answer, badAnswer, parseJsonBody } from '../answer.ts';
import { errorTexts, isNothing, isVaultBody, numberOf, parseAnswer } from './answer.ts';
import type { Command, VaultClient } from './client.ts';
import { fromStatus, loginBackendError } from './errors.ts';

const REVOKE_MS = 2_000;

/** The result of a login. */
export interface Grant {
  readonly token: SecretValue;
  /** Undefined if the token does not expire, or if its lifetime is unknown. */
  readonly ttlMs: number | undefined;
  readonly renewable: boolean;
  /** The number of requests that the token allows (`token_num_uses`). Undefined if it is unlimited or unknown. */
  readonly uses?: number;
  /** Whether a login created the token. Only a token from a login is revoked. */
  readonly isOwn: boolean;
}

/**
 * Parses the `auth` member of a login or renewal response.
 * @param mount The mount of the login method, without `auth/`.
 */
export function grantOf(answer: Answer, mount: string): Grant {
  const { status } = answer;
  const backendError = loginBackendError(answer);
  if (backendError !== undefined) throw backendError;
  const isVaultRejection = (status === 400 || status === 404) && isVaultBody(parseJsonBody(answer));
  // The server returns 400 and 403 for wrong credentials, but also for a missing login method.
  if (status === 403 || (isVaultRejection && !isNamespaceMissing(answer))) {
    throw new AppError('AUTH_FAILED', { detail: `the login at auth/${mount} was refused` });
  }
  const auth = member(parseAnswer(success(answer)), 'auth');
  if (!isNothing(member(auth, 'mfa_requirement')))
    throw new AppError('AUTH_FAILED', {
      detail: `the login at auth/${mount} requires a second factor, which secretbridge does not support`,
    });
  const token = textOf(member(auth, 'client_token'));
  if (token === undefined || token === '') throw badAnswer('a login without a token');
  const uses = numberOf(member(auth, 'num_uses')) ?? 0;
  // A token with limited uses is not renewed. A renewal would consume a use, but a new login gives a token with all its
  // uses.
  const limited = uses > 0 ? { uses, renewable: false } : {};
  return { token: SecretValue.fromText(token), ...lifetime(auth, 'lease_duration'), ...limited, isOwn: true };
}

/** Looks up a token that the configuration provides. */
export async function grantOfConfiguredToken(
  client: VaultClient,
  token: SecretValue,
  signal: AbortSignal,
): Promise<Grant> {
  const answer = await lookUp(client, token, signal);
  // The lookup does not tell whether this token is valid. The first read will tell.
  if (isInconclusive(answer)) return { token, ttlMs: undefined, renewable: false, isOwn: false };
  const data = member(parseAnswer(success(answer)), 'data');
  if (data?.kind !== 'object') throw badAnswer('a token without its data');
  return { token, ...lifetime(data, 'ttl'), isOwn: false };
}

/**
 * Returns the secret ID in a response-wrapping token. Such a token can be unwrapped only once.
 * https://developer.hashicorp.com/vault/api-docs/system/wrapping-unwrap
 */
export async function unwrap(
  client: VaultClient,
  wrapping: SecretValue,
  signal: AbortSignal,
): Promise<SecretValue> {
  const answer = await client.call((vault, requestOptions) => vault.unwrap({ requestOptions }), {
    token: wrapping,
    signal,
    operation: 'login',
  });
  if (answer.status === 403 || (answer.status === 400 && isVaultBody(parseJsonBody(answer)))) {
    throw new AppError('AUTH_FAILED', { detail: 'the wrapped secret ID was already used or has expired' });
  }
  const value = textOf(member(parseAnswer(success(answer)), 'data', 'secret_id'));
  if (value === undefined || value === '') throw badAnswer('a wrapping token without a secret ID');
  return SecretValue.fromText(value);
}

export function lookUp(client: VaultClient, token: SecretValue, signal: AbortSignal): Promise<Answer> {
  return client.call((vault, requestOptions) => vault.tokenLookupSelf({ requestOptions }), {
    token,
    signal,
    operation: 'login',
  });
}

/** Revokes a token. Otherwise the token would count against the server's limit for leases until it expires. */
export async function revoke(client: VaultClient, token: SecretValue): Promise<void> {
  const signal = AbortSignal.timeout(REVOKE_MS);
  try {
    // The command in node-vault would send its options in the body. The options contain the token, and a log may record
    // the body.
    const command: Command = (vault, options) => vault.write('auth/token/revoke-self', {}, options);
    await client.call(command, { token, signal, operation: 'login' });
  } catch (error) {
    if (!(error instanceof AppError) && !signal.aborted) throw error;
  }
}

/**
 * Whether the response of `lookup-self` does not tell if the token is valid. 403 means that the token is invalid or is
 * not allowed to look itself up. 404 and 405 mean that a proxy blocks this path.
 */
export function isInconclusive(answer: Answer): boolean {
  const isHidden = (answer.status === 404 || answer.status === 405) && !isNamespaceMissing(answer);
  return answer.status === 403 || isHidden;
}

function isNamespaceMissing(answer: Answer): boolean {
  return errorTexts(parseJsonBody(answer))?.some((error) => error.includes('namespace not found')) ?? false;
}

/**
 * @param name The member that contains the lifetime in seconds. It is 0 if the token does not expire. It is missing if
 * a proxy has removed it.
 */
function lifetime(source: JsonNode | undefined, name: string): Pick<Grant, 'ttlMs' | 'renewable'> {
  const ttl = numberOf(member(source, name)) ?? 0;
  const renewable = member(source, 'renewable')?.kind === 'true';
  return ttl > 0 ? { ttlMs: ttl * 1000, renewable } : { ttlMs: undefined, renewable: false };
}

function success(answer: Answer): Answer {
  if (answer.status === 200) return answer;
  throw fromStatus(answer);
}
