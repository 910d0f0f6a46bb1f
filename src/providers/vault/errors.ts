import { AppError } from '../../core/errors.ts';
import { member } from '../../core/json.ts';
import { type Answer, badAnswer, parseJsonBody } from '../answer.ts';
import { fromNetwork as fromAnyNetwork } from '../network-errors.ts';
import { errorTexts, isVaultBody } from './answer.ts';

/** Converts a connection error to an AppError. */
export function fromNetwork(thrown: unknown): AppError {
  return fromAnyNetwork(thrown, {
    notTls: 'is its address `http`?',
    wantsCertificate: 'set `tls.certFile` and `tls.keyFile`',
  });
}

/**
 * Converts an error status that means the same for every request. `session.ts` converts 403 and `read.ts` converts 404,
 * because their meaning depends on the request.
 */
export function fromStatus(answer: Answer): AppError {
  const { status } = answer;
  const body = parseJsonBody(answer);
  const texts = errorTexts(body) ?? [];
  const includesText = (part: string) => texts.some((text) => text.includes(part));
  if (status === 307)
    return badAnswer(
      'it sent a redirect, and redirects are not followed; a standby that cannot forward requests to the active node does that',
    );
  if (status >= 300 && status < 400) return badAnswer('it sent a redirect, and redirects are not followed');
  if (status === 401) return new AppError('AUTH_FAILED', { detail: 'status 401' });
  if (status === 403) return new AppError('ACCESS_DENIED');
  if (status === 404 || status === 405) {
    if (!isVaultBody(body)) return badAnswer(`status ${status}, not from Vault`);
    return new AppError(
      'MOUNT_NOT_FOUND',
      includesText('namespace not found') ? { detail: 'no such namespace' } : {},
    );
  }
  if (status === 429) return new AppError('THROTTLED', retryAfter(answer));
  if (status === 412) return unavailable(answer, 'it is not up to date yet');
  if (status === 472 || status === 473)
    return unavailable(answer, 'a standby that cannot serve reads answered');
  if (status === 474) return unavailable(answer, 'a standby that cannot reach its active node answered');
  // `sys/health` reports a sealed Vault with the member `sealed`.
  const isSealed = includesText('sealed') || member(body, 'sealed')?.kind === 'true';
  if (status === 503 && isSealed) return unavailable(answer, 'it is sealed');
  if (status === 503 && includesText('locked by an administrator'))
    return unavailable(answer, 'an administrator locked its namespace');
  // The mount is being upgraded to version 2. Check the text too, because an invalid request has the same status.
  if (
    status === 400 &&
    (includesText('Upgrading from non-versioned') || includesText('to upgrade from non-versioned'))
  )
    return unavailable(answer, 'the mount is being upgraded to version 2');
  if (status === 400 && includesText('relative paths not supported'))
    return new AppError('CONFIG_INVALID', { detail: 'Vault allows no `..` in a key of a version 1 engine' });
  if (status >= 500) return unavailable(answer, `status ${status}`);
  if (status === 400 && !isVaultBody(body))
    return badAnswer('status 400, not from Vault; is its address `https`?');
  return badAnswer(`status ${status}`);
}

/**
 * Error texts for a failure of an external login service, for example of an LDAP server. OpenBao and older versions of
 * Vault send them with the same status as for wrong credentials. Vault 1.21 sends some of them with status 500.
 */
const BACKEND_FAILURES: readonly (readonly [words: RegExp, detail: string])[] = [
  [/failed to connect|Network Error/, 'it cannot reach the directory for logins'],
  [
    /(get keys failed|keyset configuration error):? (Get "|429 |5\d\d )/,
    'it cannot fetch the keys to verify tokens',
  ],
];

/** Returns the error of an external login service. Returns undefined if the server refused the login itself. */
export function loginBackendError(answer: Answer): AppError | undefined {
  const texts = errorTexts(parseJsonBody(answer)) ?? [];
  const failure = BACKEND_FAILURES.find(([words]) => texts.some((text) => words.test(text)));
  return failure && new AppError('STORE_UNAVAILABLE', { detail: failure[1] });
}

function unavailable(answer: Answer, detail: string): AppError {
  return new AppError('STORE_UNAVAILABLE', { detail, ...retryAfter(answer) });
}

function retryAfter({ retryAfterMs }: Answer): { retryAfterMs?: number } {
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}
