import { AppError } from '../../core/errors.ts';
import { member, textOf } from '../../core/json.ts';
import { badAnswer } from '../answer.ts';
import { type Answer, jsonOf } from './answer.ts';

/** https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const REFUSALS: Readonly<Record<string, string>> = {
  '7000215': 'the client secret is not the right one',
  '7000222': 'the client secret has expired',
  '7000112': 'the application is disabled',
  '700016': 'the tenant has no application with this client id',
  '700024': 'the token or certificate that proves the identity has expired, or the clock here is wrong',
  '700027': 'the application does not know this certificate',
  '70021': 'the application has no federated credential for this service account',
  '700211': 'the application has no federated credential for the issuer of this cluster',
  '700212': 'the application has no federated credential for the audience of the token',
  '700213': 'the application has no federated credential for this service account',
  '90002': 'there is no such tenant',
  '900021': 'there is no such tenant',
  '900023': 'there is no such tenant',
  '53003': 'a conditional access policy does not allow it',
  '500011': 'the tenant does not know Key Vault',
};

/**
 * What an answer of the authority, or of the endpoint of managed identities, means when it is no token. By status
 * and number, never by its text.
 * @param where Begins the detail: which of the two it was.
 */
export function loginFailure(answer: Answer, where: string): AppError | undefined {
  const { status, retryAfterMs } = answer;
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  const bad = (what: string) => badAnswer(`${where}: ${what}`);
  const body = jsonOf(answer);
  if (status >= 200 && status < 300) return body === undefined ? bad('no JSON') : undefined;
  if (status === 429) return new AppError('THROTTLED', { detail: where, ...wait });
  if (status === 404 || status === 408 || status === 410 || status >= 500) {
    // 404 and 410 come from endpoints of managed identities that are being started or updated.
    return new AppError('STORE_UNAVAILABLE', { detail: `${where}: status ${status}`, ...wait });
  }
  if (status >= 300 && status < 400) return bad('it redirects, and redirects are not followed');
  if (body === undefined) return bad(`status ${status} without JSON`);
  const reason =
    REFUSALS[numberOf(body)] ?? (isIdentityMissing(body) ? 'no such managed identity' : undefined);
  const detail = `the login was refused${reason === undefined ? '' : `: ${reason}`}`;
  return new AppError('AUTH_FAILED', { detail });
}

function numberOf(body: ReturnType<typeof jsonOf>): string {
  const numbers = member(body, 'error_codes');
  const first = numbers?.kind === 'array' ? numbers.items[0] : undefined;
  return first?.kind === 'number' ? first.text : '';
}

/** The endpoint of managed identities says so with an error that the authority has no use for. */
function isIdentityMissing(body: ReturnType<typeof jsonOf>): boolean {
  return textOf(member(body, 'error')) === 'invalid_request' && member(body, 'error_codes') === undefined;
}
