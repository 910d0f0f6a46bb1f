import { type Filter, ListSecretsCommand, type SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import type { Session } from './session.ts';
import { asObjectList } from './value.ts';

/** The maximum number of secrets on one page in AWS. */
const PAGE_SIZE = 100;
/**
 * Twice the number of pages that AWS needs for the maximum of 500,000 secrets in a region. The limit ends an endless
 * list, which an emulator may return.
 */
const MAX_PAGES = 10_000;
/** The maximum length of a filter value in AWS. */
const MAX_FILTER = 512;

/**
 * Lists the secrets whose names start with one of the prefixes, page by page. Omits secrets that are scheduled for
 * deletion. https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
 * @throws AwsFailure, AppError
 */
export async function* listPages(
  session: Session,
  prefixes: readonly string[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly SecretListEntry[]> {
  const filters = filtersOf(prefixes);
  const seenTokens = new Set<string>();
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
    yield asObjectList(answer.SecretList, 'a list of secrets');
    token = answer.NextToken;
    if (token !== undefined && seenTokens.has(token)) throw badAnswer('a list that repeats a page');
    if (token !== undefined) seenTokens.add(token);
    if (seenTokens.size === MAX_PAGES)
      throw new AppError('TOO_LARGE', {
        detail: `the account lists its secrets on more than ${MAX_PAGES} pages`,
      });
  } while (token !== undefined);
}

/**
 * Creates a filter for the prefixes. It may match too many names, because the caller compares each name with the
 * prefixes.
 */
function filtersOf(prefixes: readonly string[]): Filter[] {
  // AWS treats a leading exclamation mark as a negation, so such a prefix gets no filter.
  if (prefixes.length === 0 || prefixes.some((prefix) => prefix.startsWith('!'))) return [];
  return [{ Key: 'name', Values: prefixes.map((prefix) => prefix.slice(0, MAX_FILTER)) }];
}
