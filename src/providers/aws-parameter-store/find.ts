import {
  DescribeParametersCommand,
  GetParametersByPathCommand,
  type ParameterStringFilter,
} from '@aws-sdk/client-ssm';
import { compareText } from '../../core/target.ts';
import { asObjectList, badAnswer } from '../answer.ts';
import { pagesOf } from '../aws/pages.ts';
import { asStoreError } from '../aws/session.ts';
import { isRoot } from '../name-rules.ts';
import type { FindQuery } from '../provider.ts';
import { checkKeyCount } from '../results.ts';
import { checkPath, requireValid } from './keys.ts';
import type { Session } from './value.ts';

/** The maximum number of parameters on one page of GetParametersByPath, and of DescribeParameters. */
const PAGE_SIZE = 10;
const DESCRIBED_PAGE_SIZE = 50;

/**
 * Finds the names below `path`, with GetParametersByPath, or with DescribeParameters if tags are given.
 * @throws AppError if any part of the search fails, because keys that are missing from a partial result would look
 * deleted.
 */
export function findKeys(
  session: Session,
  query: FindQuery,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  return asStoreError(search(session, query, signal));
}

interface Named {
  readonly Name?: string | undefined;
}

async function search(
  session: Session,
  { path, tags }: FindQuery,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  requireValid('path', checkPath(path));
  const folder = isRoot(path) ? '' : path.replace(/\/$/, '');
  const filters = Object.entries(tags).map(([name, value]) => ({
    Key: `tag:${name}`,
    Option: 'Equals',
    Values: [value],
  }));
  const pages =
    filters.length === 0
      ? listBelow(session, folder, signal)
      : describeBelow(session, folder, filters, signal);
  const keys = new Set<string>(); // a name may occur twice if the list changes during the search
  for await (const page of pages) {
    if (page.Parameters === undefined) throw badAnswer('a list without its parameters');
    for (const { Name: name } of asObjectList(page.Parameters, 'a list of parameters')) {
      if (typeof name !== 'string' || name === '')
        throw badAnswer('a list with a parameter that has no name');
      if (folder === '' || name.startsWith(`${folder}/`)) keys.add(name);
    }
    checkKeyCount(keys.size);
  }
  return [...keys].sort(compareText);
}

interface Page {
  readonly Parameters?: readonly Named[] | undefined;
  readonly NextToken?: string | undefined;
}

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html */
function listBelow(session: Session, folder: string, signal: AbortSignal | undefined): AsyncGenerator<Page> {
  return pagesOf((token) => {
    // Without decryption, because only the names are needed.
    const input = {
      Path: folder === '' ? '/' : folder,
      Recursive: true,
      WithDecryption: false,
      MaxResults: PAGE_SIZE,
      ...token,
    };
    return session.call(
      'list',
      (client, options) => client.send(new GetParametersByPathCommand(input), options),
      signal,
    );
  });
}

/** https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_DescribeParameters.html */
function describeBelow(
  session: Session,
  folder: string,
  tagFilters: readonly ParameterStringFilter[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Page> {
  const below = folder === '' ? [] : [{ Key: 'Path', Option: 'Recursive', Values: [folder] }];
  return pagesOf((token) => {
    const input = { ParameterFilters: [...below, ...tagFilters], MaxResults: DESCRIBED_PAGE_SIZE, ...token };
    return session.call(
      'list',
      (client, options) => client.send(new DescribeParametersCommand(input), options),
      signal,
    );
  });
}
