import { AppError } from '../../core/errors.ts';
import { type JsonNode, member, textOf } from '../../core/json.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { type Answer, badAnswer, tryParse } from '../answer.ts';
import { errorTexts, isNothing, numberOf, parseAnswer } from './answer.ts';
import type { Command, VaultClient } from './client.ts';
import { fromStatus, isOfVault, unansweredLogin } from './errors.ts';

const REVOKE_MS = 2_000;

/** What a login gives. */
export interface Grant {
  readonly token: SecretValue;
  /** Undefined: it does not end, or the server does not tell. */
  readonly ttlMs: number | undefined;
  readonly renewable: boolean;
  /** How many requests it is good for (`token_num_uses`); undefined: any number, or nobody tells. */
  readonly uses?: number;
  /** Whether it is ours to revoke: made by a login, not given to us. */
  readonly own: boolean;
}

/**
 * The `auth` member that logins and renewals answer with.
 * @param mount Of the login method, without `auth/`.
 */
export function grantOf(answer: Answer, mount: string): Grant {
  const { status } = answer;
  const isHeard = (status === 400 || status === 404) && isOfVault(tryParse(answer));
  // 400 and 403 are how the server says "wrong credentials", and also "no such login method".
  if (status === 403 || (isHeard && !isNamespaceMissing(answer))) {
    throw (
      unansweredLogin(answer) ??
      new AppError('AUTH_FAILED', { detail: `the login at auth/${mount} was refused` })
    );
  }
  const auth = member(parseAnswer(success(answer)), 'auth');
  if (!isNothing(member(auth, 'mfa_requirement')))
    throw new AppError('AUTH_FAILED', {
      detail: `the login at auth/${mount} asks for a second factor, which only a person has`,
    });
  const token = textOf(member(auth, 'client_token'));
  if (token === undefined || token === '') throw badAnswer('a login without a token');
  const uses = numberOf(member(auth, 'num_uses')) ?? 0;
  // A renewal would take one of them, and another login gives more.
  const limited = uses > 0 ? { uses, renewable: false } : {};
  return { token: SecretValue.fromText(token), ...lifetime(auth, 'lease_duration'), ...limited, own: true };
}

/** A token that was given to us, as the server sees it. */
export async function grantOfGiven(
  client: VaultClient,
  token: SecretValue,
  signal: AbortSignal,
): Promise<Grant> {
  const answer = await lookUp(client, token, signal);
  // The first read tells whether it is valid.
  if (tellsNothing(answer)) return { token, ttlMs: undefined, renewable: false, own: false };
  const data = member(parseAnswer(success(answer)), 'data');
  if (data?.kind !== 'object') throw badAnswer('a token without its data');
  return { token, ...lifetime(data, 'ttl'), own: false };
}

/**
 * The secret id inside a response-wrapping token, which can be opened once.
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
  if (answer.status === 403 || (answer.status === 400 && isOfVault(tryParse(answer)))) {
    throw new AppError('AUTH_FAILED', { detail: 'the wrapped secret id was used before or has ended' });
  }
  const value = textOf(member(parseAnswer(success(answer)), 'data', 'secret_id'));
  if (value === undefined || value === '') throw badAnswer('a wrapping token without a secret id');
  return SecretValue.fromText(value);
}

export function lookUp(client: VaultClient, token: SecretValue, signal: AbortSignal): Promise<Answer> {
  return client.call((vault, requestOptions) => vault.tokenLookupSelf({ requestOptions }), {
    token,
    signal,
    operation: 'login',
  });
}

/** A token left behind counts against the server's leases until it ends by itself. */
export async function revoke(client: VaultClient, token: SecretValue): Promise<void> {
  const signal = AbortSignal.timeout(REVOKE_MS);
  try {
    // node-vault's own command sends its options along, and so the token in the body, where logs may keep it.
    const command: Command = (vault, options) => vault.write('auth/token/revoke-self', {}, options);
    await client.call(command, { token, signal, operation: 'login' });
  } catch (error) {
    if (!(error instanceof AppError) && !signal.aborted) throw error;
  }
}

/**
 * Whether `lookup-self` leaves open what the token is. 403: not valid, or merely without the right to look itself up.
 * 404 and 405: what stands before the server lets the paths of the mount through, and not this one.
 */
export function tellsNothing(answer: Answer): boolean {
  const isHidden = (answer.status === 404 || answer.status === 405) && !isNamespaceMissing(answer);
  return answer.status === 403 || isHidden;
}

function isNamespaceMissing(answer: Answer): boolean {
  return errorTexts(tryParse(answer))?.some((error) => error.includes('namespace not found')) ?? false;
}

/** @param name Of its seconds: 0 for a token that does not end; what stands before the server may not tell. */
function lifetime(of: JsonNode | undefined, name: string): Pick<Grant, 'ttlMs' | 'renewable'> {
  const ttl = numberOf(member(of, name)) ?? 0;
  const renewable = member(of, 'renewable')?.kind === 'true';
  return ttl > 0 ? { ttlMs: ttl * 1000, renewable } : { ttlMs: undefined, renewable: false };
}

function success(answer: Answer): Answer {
  if (answer.status === 200) return answer;
  throw fromStatus(answer);
}
