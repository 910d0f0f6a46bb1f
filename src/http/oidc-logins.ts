import { AppError } from '../core/errors.ts';
import { isObject, parseAny } from '../core/json.ts';
import { personOf } from '../core/person.ts';
import type { SignedIn } from '../sign-in/claims.ts';
import type { Session } from '../sign-in/sessions.ts';
import type { SignIn } from '../sign-in/sign-in.ts';
import type { Authenticator, Identity } from './auth.ts';

/** The start of the tokens that `secretbridge login` gets. */
export const CLI_TOKEN_PREFIX = 'sbs_';

/** Returns the identity of a person who has signed in by OIDC. */
export function identityOf(
  { person, groups }: SignedIn,
  signIn: Pick<SignIn, 'namespaces'>,
  endsAt?: number,
): Identity {
  return {
    ...personOf(person),
    groups,
    ...(endsAt === undefined ? {} : { endsAt }),
    namespaces: async (role) => signIn.namespaces(groups, role),
  };
}

/**
 * Authenticates the tokens of `secretbridge login`, and the ID tokens and access tokens of the provider. All other tokens
 * are unknown here. @throws AppError SESSION_ENDED, SIGN_IN_REFUSED, OIDC_UNAVAILABLE
 */
export function createOidcLogins(signIn: SignIn, issuer: string): Authenticator {
  return {
    async identify(token) {
      const text = token.revealText('latin1');
      const session = await cliSession(text, signIn);
      if (session !== undefined) return identityOf(session, signIn, session.endsAt);
      if (issuerIn(text) !== withoutSlash(issuer)) return undefined;
      return identityOf(await signIn.verify(text), signIn);
    },
  };
}

/** Returns the session of a token of `secretbridge login`. Undefined for other tokens. @throws AppError SESSION_ENDED */
export async function cliSession(token: string, signIn: SignIn): Promise<Session | undefined> {
  if (!token.startsWith(CLI_TOKEN_PREFIX)) return undefined;
  const session = await signIn.sessions.open(token.slice(CLI_TOKEN_PREFIX.length));
  if (session.kind === 'cli') return session;
  throw new AppError('SESSION_ENDED', { detail: 'it is the session of a browser' });
}

/** Returns the issuer that a token names. Nothing is verified yet: other tokens may have the same form. */
function issuerIn(token: string): string | undefined {
  const [, payload, signature, ...more] = token.split('.');
  if (payload === undefined || signature === undefined || more.length > 0) return undefined;
  const claims = parseAny(Buffer.from(payload, 'base64url').toString('utf8'));
  return isObject(claims) && typeof claims.iss === 'string' ? withoutSlash(claims.iss) : undefined;
}

function withoutSlash(url: string): string {
  return url.replace(/\/$/, '');
}
