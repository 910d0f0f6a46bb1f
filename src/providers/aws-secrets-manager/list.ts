import { type Filter, ListSecretsCommand, type SecretListEntry } from '@aws-sdk/client-secrets-manager';
import { asObjectList, badAnswer } from '../answer.ts';
import { pagesOf } from '../aws/pages.ts';
import type { Session } from './value.ts';

/** The maximum number of secrets on one page in AWS. */
const PAGE_SIZE = 100;
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
  const pages = pagesOf((start) => {
    const input = { MaxResults: PAGE_SIZE, ...(filters.length === 0 ? {} : { Filters: filters }), ...start };
    return session.call(
      'list',
      (client, options) => client.send(new ListSecretsCommand(input), options),
      signal,
    );
  });
  for await (const { SecretList: list } of pages) {
    if (list === undefined) throw badAnswer('a list without its secrets');
    yield asObjectList(list, 'a list of secrets');
  }
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
