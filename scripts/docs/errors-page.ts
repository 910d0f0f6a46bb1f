import {
  allErrorPages,
  ERROR_GROUPS,
  type ErrorGroup,
  type ErrorPage,
  exitCodeText,
} from '../../src/cli/texts/error-pages.ts';

/** Returns `docs/reference/errors.md`: one paragraph for each error code. */
export function errorsPage(): string {
  const pages = allErrorPages();
  return [
    '<!-- Generated from src/core/error-tables and src/cli/errors by `npm run docs`. Change it there. -->',
    '# Errors',
    'An error has a code with a stable meaning, a message that names the affected object, and a remedy. `secretbridge` prints code, message and remedy of each error. With `--output json` the members are `code`, `message` and `remedy`. The text of an answer from a store or from the API server is never shown, because this text can contain a secret value.',
    '`secretbridge explain-error CODE` prints the section of this page for a code, and needs no network access.',
    'Each section ends with the exit code of a command that ends with this error. If a run has several errors, the [first exit code that applies](cli.md#exit-codes) counts.',
    ...(Object.keys(ERROR_GROUPS) as ErrorGroup[]).flatMap((group) => [
      `## ${ERROR_GROUPS[group].title}`,
      ERROR_GROUPS[group].intro,
      ...pages
        .filter((page) => page.group === group)
        .flatMap((page) => [`### ${page.code}`, paragraph(page)]),
    ]),
    '',
  ].join('\n\n');
}

function paragraph(page: ErrorPage): string {
  const { message, remedy, details, resolution } = page;
  return [message, remedy, details, resolution, exitCodeText(page)]
    .filter((text) => text !== undefined)
    .join(' ');
}
