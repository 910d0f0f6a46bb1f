import { type Filter, ListSecretsCommand, type SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import { objectsIn } from './form.ts';
import type { Session } from './session.ts';

/** The most that AWS gives at a time. */
const PAGE_SIZE = 100;
/** Twice as many as an account can fill: 500,000 secrets in a region. An emulator may go on for ever. */
const MAX_PAGES = 10_000;
/** The longest value of a filter. */
const MAX_FILTER = 512;

/**
 * The secrets whose name begins with one of the prefixes, page by page, without those scheduled for deletion.
 * https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
 * @throws AwsFailure, AppError
 */
export async function* listPages(
  session: Session,
  prefixes: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly SecretListEntry[]> {
  const filters = filtersOf(prefixes);
  const seen = new Set<string>();
  let token: string | undefined;
  do {
    const input = {
      MaxResults: PAGE_SIZE,
      ...(filters.length === 0 ? {} : { Filters: filters }),
      ...(token === undefined ? {} : { NextToken: token }),
    };
    const answer = await session.call(
      'list',
      (client, options) => client.send(new ListSecretsCommand(input), options),
      signal,
    );
    if (answer.SecretList === undefined) throw badAnswer('a list without its secrets');
    yield objectsIn(answer.SecretList, 'a list of secrets');
    token = answer.NextToken;
    if (token !== undefined && seen.has(token)) throw badAnswer('a list that begins again');
    if (token !== undefined) seen.add(token);
    if (seen.size === MAX_PAGES)
      throw new AppError('TOO_LARGE', {
        detail: `the account lists its secrets on more than ${MAX_PAGES} pages`,
      });
  } while (token !== undefined);
}

/** The caller compares names itself: what the filter cannot say, it leaves out. */
function filtersOf(prefixes: readonly string[]): Filter[] {
  // AWS reads an exclamation mark at the beginning as "not".
  if (prefixes.length === 0 || prefixes.some((prefix) => prefix.startsWith('!'))) return [];
  return [{ Key: 'name', Values: prefixes.map((prefix) => prefix.slice(0, MAX_FILTER)) }];
}
