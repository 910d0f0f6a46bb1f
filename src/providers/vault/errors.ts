import { AppError } from '../../core/errors.ts';
import { type JsonNode, member, textOf } from '../../core/json.ts';
import { type Answer, badAnswer, tryParse } from '../answer.ts';
import { fromNetwork as fromAnyNetwork } from '../network.ts';
import { errorTexts, isNothing } from './answer.ts';

/** What the connection did, as an error of ours. */
export function fromNetwork(thrown: unknown): AppError {
  return fromAnyNetwork(thrown, {
    notTls: 'is its address `http`?',
    wantsCertificate: '`tls.certFile` and `tls.keyFile` name it',
  });
}

/** Whatever is neither 2xx nor decided by who asked: see `session.ts` for 403 and `read.ts` for 404. */
export function fromStatus(answer: Answer): AppError {
  const { status } = answer;
  const body = tryParse(answer);
  const texts = errorTexts(body) ?? [];
  const says = (part: string) => texts.some((text) => text.includes(part));
  // What a standby says that cannot hand a request to its active node.
  if (status === 307)
    return badAnswer(
      'it redirects, and redirects are not followed; a standby without its active node does so',
    );
  if (status >= 300 && status < 400) return badAnswer('it redirects, and redirects are not followed');
  if (status === 401) return new AppError('AUTH_FAILED', { detail: 'status 401' });
  if (status === 403) return new AppError('ACCESS_DENIED');
  if (status === 404 || status === 405) {
    if (!isOfVault(body)) return badAnswer(`status ${status}, not in the form of Vault`);
    return new AppError(
      'MOUNT_NOT_FOUND',
      says('namespace not found') ? { detail: 'no such namespace' } : {},
    );
  }
  if (status === 429) return new AppError('THROTTLED', retryAfter(answer));
  if (status === 412) return unavailable(answer, 'it is not up to date yet');
  if (status === 472 || status === 473)
    return unavailable(answer, 'a standby answered that cannot serve reads');
  if (status === 474) return unavailable(answer, 'a standby answered that does not reach its active node');
  // `sys/health` says it by a member.
  const isSealed = says('sealed') || member(body, 'sealed')?.kind === 'true';
  if (status === 503 && isSealed) return unavailable(answer, 'it is sealed');
  if (status === 503 && says('locked by an administrator'))
    return unavailable(answer, 'its namespace was locked by an administrator');
  // For the moment in which a mount is given versions; a request that is wrong has this status as well.
  if (status === 400 && (says('Upgrading from non-versioned') || says('to upgrade from non-versioned')))
    return unavailable(answer, 'the mount is being changed to version 2');
  if (status >= 500) return unavailable(answer, `status ${status}`);
  if (status === 400 && !isOfVault(body))
    return badAnswer('status 400, not in the form of Vault; is its address `https`?');
  return badAnswer(`status ${status}`);
}

/** Whether the server itself said no: with `errors`, or with warnings beside the id of the request. */
export function isOfVault(body: JsonNode | undefined): boolean {
  const isTold = textOf(member(body, 'request_id')) !== undefined || !isNothing(member(body, 'warnings'));
  return isTold || errorTexts(body) !== undefined;
}

/** Whom the server asks about logins, and how it says that it gets no answer: with the status of wrong credentials. */
const ASKED: readonly (readonly [words: RegExp, detail: string])[] = [
  [/failed to connect|Network Error/, 'it cannot reach the directory that it asks about logins'],
  [
    /(get keys failed|keyset configuration error):? (Get "|429 |5\d\d )/,
    'it cannot fetch the keys that it checks tokens with',
  ],
];

/** Undefined for a login that was refused in earnest. */
export function unansweredLogin(answer: Answer): AppError | undefined {
  const texts = errorTexts(tryParse(answer)) ?? [];
  const asked = ASKED.find(([words]) => texts.some((text) => words.test(text)));
  return asked && new AppError('STORE_UNAVAILABLE', { detail: asked[1] });
}

function unavailable(answer: Answer, detail: string): AppError {
  return new AppError('STORE_UNAVAILABLE', { detail, ...retryAfter(answer) });
}

function retryAfter({ retryAfterMs }: Answer): { retryAfterMs?: number } {
  return retryAfterMs === undefined ? {} : { retryAfterMs };
}
