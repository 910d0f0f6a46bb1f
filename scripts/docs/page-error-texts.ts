import { allErrorPages } from '../../src/cli/texts/error-pages.ts';

/** Returns `ui/src/error-texts.json`: what `explain-error` prints about each code, for the review page. */
export function pageErrorTexts(): string {
  const texts = allErrorPages().map(({ code, message, remedy, details, resolution }) => [
    code,
    [message, remedy, details === undefined ? undefined : withoutLinks(details), resolution].filter(
      (text) => text !== undefined,
    ),
  ]);
  return `${JSON.stringify(Object.fromEntries(texts), null, 2)}\n`;
}

/** Removes the addresses of Markdown links, because the page cannot open them. */
function withoutLinks(markdown: string): string {
  return markdown.replace(/\[([^\]]+)\]\([^)]+\)/g, '$1');
}
