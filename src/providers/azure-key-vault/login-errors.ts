import { AppError } from '../../core/errors.ts';
import { member, textOf } from '../../core/json.ts';
import { badAnswer } from '../answer.ts';
import { type Answer, jsonOf } from './transport.ts';

/** https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const REFUSALS: Readonly<Record<string, string>> = {
  '7000215': 'the client secret is wrong',
  '7000222': 'the client secret has expired',
  '7000112': 'the application is disabled',
  '700016': 'the tenant has no application with this client ID',
  '700024': 'the token or certificate that proves the identity has expired, or the local clock is wrong',
  '700027': 'the certificate is not registered for the application',
  '70021': 'the application has no federated credential for this service account',
  '700211': 'the application has no federated credential for the issuer of this cluster',
  '700212': 'the application has no federated credential for the audience of the token',
  '700213': 'the application has no federated credential for this service account',
  '90002': 'the tenant does not exist',
  '900021': 'the tenant does not exist',
  '900023': 'the tenant does not exist',
  '53003': 'a conditional access policy does not allow it',
  '500011': 'Key Vault is not registered in the tenant',
};

/**
 * Returns the error in a response of the authority or the managed identity endpoint. Returns undefined if the response
 * contains none. The status and the error number decide, never the text.
 * @param where The name of the endpoint. The detail of the error starts with it.
 */
export function loginFailure(answer: Answer, where: string): AppError | undefined {
  const { status, retryAfterMs } = answer;
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  const bad = (what: string) => badAnswer(`${where}: ${what}`);
  const body = jsonOf(answer);
  if (status >= 200 && status < 300) return body === undefined ? bad('no JSON') : undefined;
  if (status === 429) return new AppError('THROTTLED', { detail: where, ...wait });
  if (status === 404 || status === 408 || status === 410 || status >= 500) {
    // A managed identity endpoint returns 404 and 410 while it is starting or updating.
    return new AppError('STORE_UNAVAILABLE', { detail: `${where}: status ${status}`, ...wait });
  }
  if (status >= 300 && status < 400) return bad('it sent a redirect, and redirects are not followed');
  if (body === undefined) return bad(`status ${status} without JSON`);
  const reason =
    REFUSALS[numberOf(body)] ?? (isIdentityMissing(body) ? 'the managed identity does not exist' : undefined);
  const detail = `the login was refused${reason === undefined ? '' : `: ${reason}`}`;
  return new AppError('AUTH_FAILED', { detail });
}

function numberOf(body: ReturnType<typeof jsonOf>): string {
  const numbers = member(body, 'error_codes');
  const first = numbers?.kind === 'array' ? numbers.items[0] : undefined;
  return first?.kind === 'number' ? first.text : '';
}

/**
 * Whether the response means that the managed identity does not exist. Only the managed identity endpoint sends
 * `invalid_request` without error numbers.
 */
function isIdentityMissing(body: ReturnType<typeof jsonOf>): boolean {
  return textOf(member(body, 'error')) === 'invalid_request' && member(body, 'error_codes') === undefined;
}
