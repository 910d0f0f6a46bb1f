import { z } from 'zod';
import { AppError } from '../../core/errors.ts';
import type { Context } from '../context.ts';
import { changeLogin, loginsPath, readLogins, type StoredLogin } from './stored-logins.ts';

/** A token, with the words for messages about its origin. */
export interface Token {
  readonly text: string;
  readonly origin: string;
}

export const LoginAnswer = z.looseObject({
  name: z.string(),
  token: z.string(),
  renewal: z.string(),
  renewAfter: z.string(),
  endsAt: z.string(),
});

/** Exchanges a renewal for a new token. */
type Exchange = (renewal: string) => Promise<StoredLogin>;

/**
 * Returns the token in `SECRETBRIDGE_TOKEN`, or that of the login at this service.
 * @param exchange Asks the service for a new token.
 * @throws AppError CREDENTIAL_MISSING, SESSION_ENDED, and the errors of the service
 */
export async function tokenFor(url: string, context: Context, exchange: Exchange): Promise<Token> {
  const { SECRETBRIDGE_TOKEN: given = '' } = context.env;
  if (given !== '') return { text: checked(given), origin: 'the environment variable SECRETBRIDGE_TOKEN' };
  const path = loginsPath(context);
  const stored = path === undefined ? undefined : (await readLogins(path))[url];
  if (path === undefined || stored === undefined)
    throw new AppError('CREDENTIAL_MISSING', {
      detail:
        'environment variable SECRETBRIDGE_TOKEN is not set or empty, and there is no login at this service',
      remedy: `Run \`secretbridge login --server ${url}\`, or set SECRETBRIDGE_TOKEN to a token of \`http.tokens\` or a Kubernetes token.`,
    });
  const isFresh = ({ renewAfter }: StoredLogin) => context.clock.now() < Date.parse(renewAfter);
  const login = isFresh(stored)
    ? stored
    : await renew(path, url, exchange, { isFresh, now: () => context.clock.now() });
  return { text: checked(login.token), origin: path };
}

async function renew(
  path: string,
  url: string,
  exchange: Exchange,
  { isFresh, now }: { readonly isFresh: (login: StoredLogin) => boolean; readonly now: () => number },
): Promise<StoredLogin> {
  let failure: AppError | undefined;
  const login = await changeLogin(path, url, async (before) => {
    // Another process may have renewed the login while this process waited.
    if (before === undefined || isFresh(before)) return before;
    try {
      return await exchange(before.renewal);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // While the provider is away, the token can be used until it ends.
      if (error.isTransient && now() < Date.parse(before.endsAt)) return before;
      if (error.isTransient) throw error;
      failure = error;
      return undefined;
    }
  });
  if (login !== undefined) return login;
  throw new AppError('SESSION_ENDED', {
    subject: url,
    ...(failure === undefined ? {} : { detail: failure.message }),
    remedy: `Run \`secretbridge login --server ${url}\`.`,
  });
}

/** Rejects characters such as line breaks, which could add headers. */
function checked(token: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new AppError('CREDENTIAL_MISSING', {
    detail: 'environment variable SECRETBRIDGE_TOKEN contains characters that no token has',
    remedy: 'Set it to a token of `http.tokens`, or to a Kubernetes token.',
  });
}
