import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';

/**
 * Twice the number of pages that AWS needs for 500,000 secrets or 50,000 parameters. The limit ends an endless list,
 * which an emulator may return.
 */
const MAX_PAGES = 10_000;

interface Page {
  readonly NextToken?: string | undefined;
}

/**
 * Fetches the pages of a list one after the other.
 * @param fetch Returns the page that starts at a token.
 * @throws AppError BAD_ANSWER if the list repeats a page, and TOO_LARGE if it has too many pages.
 */
export async function* pagesOf<Answer extends Page>(
  fetch: (start: { readonly NextToken?: string }) => Promise<Answer>,
): AsyncGenerator<Answer> {
  const seenTokens = new Set<string>();
  let start: { readonly NextToken?: string } = {};
  for (;;) {
    const page = await fetch(start);
    yield page;
    const { NextToken: token } = page;
    if (token === undefined) return;
    if (seenTokens.has(token)) throw badAnswer('a list that repeats a page');
    seenTokens.add(token);
    if (seenTokens.size === MAX_PAGES)
      throw new AppError('TOO_LARGE', {
        detail: `the account returns its list on more than ${MAX_PAGES} pages`,
      });
    start = { NextToken: token };
  }
}
