import { AppError, type AppErrorOptions } from '../core/errors.ts';
import { isObject } from '../core/json.ts';

// Converts the errors of the OIDC libraries to our own. Their messages can quote an answer of the provider, so only
// their codes are used.

type Meaning = readonly [code: 'SIGN_IN_REFUSED' | 'OIDC_UNAVAILABLE', detail: string, remedy?: string];

const CLOCKS = 'Compare the clock of this machine with the clock of the provider, and sign in again.';
const CLIENT = 'Compare `http.oidc.clientId` and `http.oidc.clientSecret` with the client at the provider.';
const ISSUER = 'Set `http.oidc.issuer` to the `issuer` in the discovery document of the provider, exactly.';

const EXPIRED: Meaning = ['SIGN_IN_REFUSED', 'the token of the provider has expired', CLOCKS];
const TOO_EARLY: Meaning = ['SIGN_IN_REFUSED', 'the token of the provider is not valid yet', CLOCKS];
const MALFORMED: Meaning = ['OIDC_UNAVAILABLE', 'an answer of the provider is malformed'];
const SIGNATURE: Meaning = ['SIGN_IN_REFUSED', 'the signature of the token is wrong'];
const UNKNOWN_KEY: Meaning = [
  'SIGN_IN_REFUSED',
  'the token is signed with a key that the provider does not list',
];
const USED: Meaning = ['SIGN_IN_REFUSED', 'the code or the token was used before, or has expired'];
const BUSY: Meaning = ['OIDC_UNAVAILABLE', 'the provider has a problem'];
const BAD_CLIENT: Meaning = ['SIGN_IN_REFUSED', 'the provider does not accept the client', CLIENT];
const BAD_REQUEST: Meaning = ['SIGN_IN_REFUSED', 'the provider does not accept the request', CLIENT];
export const WRONG_ISSUER: Meaning = ['SIGN_IN_REFUSED', 'it comes from another issuer', ISSUER];
const BAD_CLAIM: Meaning = ['SIGN_IN_REFUSED', 'a claim of the token is missing or malformed'];
const WRONG_AUDIENCE: Meaning = ['SIGN_IN_REFUSED', 'the token is for another client', CLIENT];

const BY_CLAIM: Readonly<Record<string, Meaning>> = {
  aud: WRONG_AUDIENCE,
  azp: WRONG_AUDIENCE,
  iss: WRONG_ISSUER,
  nonce: ['SIGN_IN_REFUSED', 'the token belongs to another sign-in (nonce)'],
  sub: ['SIGN_IN_REFUSED', 'the provider names two different people'],
  exp: EXPIRED,
  nbf: TOO_EARLY,
  iat: TOO_EARLY,
};

/** The errors of OAuth 2.0: RFC 6749, sections 4.1.2.1 and 5.2, RFC 8628, section 3.5. */
const BY_OAUTH_ERROR: Readonly<Record<string, Meaning>> = {
  access_denied: ['SIGN_IN_REFUSED', 'the person or the provider has denied the sign-in'],
  invalid_grant: USED,
  expired_token: ['SIGN_IN_REFUSED', 'the sign-in was not confirmed in time'],
  invalid_client: BAD_CLIENT,
  unauthorized_client: BAD_CLIENT,
  invalid_scope: [
    'SIGN_IN_REFUSED',
    'the provider does not know a scope',
    'Set `http.oidc.scopes` to scopes that the provider supports for this client.',
  ],
  invalid_request: BAD_REQUEST,
  unsupported_grant_type: BAD_REQUEST,
  unsupported_response_type: BAD_REQUEST,
  server_error: BUSY,
  temporarily_unavailable: BUSY,
};

/** The codes of `openid-client` and `jose`. */
const BY_CODE: Readonly<Record<string, Meaning>> = {
  OAUTH_INVALID_RESPONSE: MALFORMED,
  OAUTH_PARSE_ERROR: MALFORMED,
  OAUTH_RESPONSE_IS_NOT_JSON: MALFORMED,
  OAUTH_RESPONSE_IS_NOT_CONFORM: ['OIDC_UNAVAILABLE', 'the provider answers with an unexpected status'],
  OAUTH_INVALID_SERVER_METADATA: MALFORMED,
  OAUTH_MISSING_SERVER_METADATA: ['SIGN_IN_REFUSED', 'the provider does not support this way to sign in'],
  OAUTH_HTTP_REQUEST_FORBIDDEN: ['OIDC_UNAVAILABLE', 'the provider names an address without https'],
  OAUTH_REQUEST_PROTOCOL_FORBIDDEN: ['OIDC_UNAVAILABLE', 'the provider names an address without https'],
  OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED: ['OIDC_UNAVAILABLE', 'the provider names another issuer', ISSUER],
  OAUTH_TIMEOUT: ['OIDC_UNAVAILABLE', 'it did not answer in time'],
  OAUTH_KEY_SELECTION_FAILED: UNKNOWN_KEY,
  ERR_JWT_EXPIRED: EXPIRED,
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: SIGNATURE,
  ERR_JWKS_NO_MATCHING_KEY: UNKNOWN_KEY,
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: UNKNOWN_KEY,
  ERR_JOSE_ALG_NOT_ALLOWED: SIGNATURE,
  ERR_JOSE_NOT_SUPPORTED: SIGNATURE,
  ERR_JWS_INVALID: ['SIGN_IN_REFUSED', 'it is not a token of the provider'],
  ERR_JWT_INVALID: ['SIGN_IN_REFUSED', 'it is not a token of the provider'],
  ERR_JWKS_INVALID: MALFORMED,
  ERR_JWKS_TIMEOUT: ['OIDC_UNAVAILABLE', 'it did not answer in time'],
};

/** The members of the libraries' errors that are used here. */
interface LibraryError {
  readonly code?: unknown;
  /** The error of OAuth 2.0 that the provider has named. */
  readonly error?: unknown;
  readonly status?: unknown;
  readonly claim?: unknown;
  readonly claims?: unknown;
  readonly cause?: unknown;
}

/** Runs a step of a sign-in. @throws AppError SIGN_IN_REFUSED, OIDC_UNAVAILABLE, or INTERNAL for a bug. */
export async function withSignInErrors<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (thrown) {
    throw toSignInError(thrown);
  }
}

function toSignInError(thrown: unknown): unknown {
  const chain = causesOf(thrown);
  const own = chain.find((error) => error instanceof AppError);
  if (own !== undefined) return own;
  const meaning = chain.map(meaningOf).find((found) => found !== undefined);
  return meaning === undefined ? thrown : signInError(meaning, { cause: thrown });
}

export function signInError([code, detail, remedy]: Meaning, options: AppErrorOptions = {}): AppError {
  return new AppError(code, { ...options, detail, ...(remedy === undefined ? {} : { remedy }) });
}

const MAX_CAUSES = 5;

/** Returns the error and its causes, the innermost first. */
function causesOf(thrown: unknown): readonly LibraryError[] {
  const causes: LibraryError[] = [];
  for (let error = thrown; typeof error === 'object' && error !== null && causes.length < MAX_CAUSES; ) {
    causes.unshift(error);
    error = (error as LibraryError).cause;
  }
  return causes;
}

function meaningOf({ code, error, status, claim, claims }: LibraryError): Meaning | undefined {
  if (typeof claim === 'string' && BY_CLAIM[claim] !== undefined) return BY_CLAIM[claim];
  if (code === undefined && isObject(claims)) return BAD_CLAIM;
  if (typeof error === 'string' && typeof code === 'string') {
    if (typeof status === 'number' && status >= 500) return BUSY;
    return BY_OAUTH_ERROR[error] ?? BAD_REQUEST;
  }
  return typeof code === 'string' ? BY_CODE[code] : undefined;
}
