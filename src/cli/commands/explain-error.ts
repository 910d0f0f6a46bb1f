import { Argument, type Command } from 'commander';
import { ERRORS, isErrorCode } from '../../core/error-codes.ts';
import { largest } from '../../core/lists.ts';
import { nearest } from '../../core/nearest.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { outputOption, type Run } from '../options.ts';
import {
  allErrorPages,
  ERROR_GROUPS,
  type ErrorGroup,
  type ErrorPage,
  errorPageOf,
  errorPagePath,
  withoutLinks,
} from '../texts/error-pages.ts';
import { withHelp } from '../texts/help.ts';
import { type Paint, print, table } from '../texts/output.ts';

export function addExplainError(program: Command, context: Context, run: Run): void {
  withHelp(program.command('explain-error'), {
    examples: ['secretbridge explain-error NOT_OWNED', 'secretbridge explain-error'],
    more: 'The command needs neither a configuration nor network access. Error messages name the code.',
    exits: [
      [0, 'the code was explained'],
      [64, 'there is no such code; similar codes are suggested'],
    ],
    see: ['explain', 'doctor', 'docs/reference/errors.md'],
  })
    .description('Explain an error code: what it means and what to do.')
    .addArgument(
      new Argument('[code]', 'error code, in upper or lower case (default: list all codes)')
        // The list of choices is only for shell completion. The command itself also accepts lower case, and suggests
        // similar codes for an unknown code.
        .choices(Object.keys(ERRORS))
        .argParser((text: string) => text),
    )
    .addOption(outputOption())

    .action((code: string | undefined, options: GlobalOptions) =>
      run(async () => explainErrorCommand(context, code, options)),
    );
}

type Options = Pick<GlobalOptions, 'output'>;

/** Prints the page of an error code, or a list of all codes. Needs no configuration and no network. */
export function explainErrorCommand(context: Context, code: string | undefined, { output }: Options): number {
  if (code === undefined)
    print(context, output, { data: { codes: allErrorPages().map(pageData) }, human: listText });
  else {
    const page = errorPageOf(parseCode(code));
    print(context, output, { data: pageData(page), human: (paint) => pageText(page, paint) });
  }
  return EXIT.ok;
}

/** Finds the code for the text. Accepts other spellings, such as `not_owned` and `not-owned`. @throws UsageError */
function parseCode(text: string): keyof typeof ERRORS {
  const code = text.toUpperCase().replaceAll('-', '_');
  if (isErrorCode(code)) return code;
  const similar = similarCodes(code);
  const hint =
    similar.length === 0
      ? 'run `secretbridge explain-error` for a list'
      : `did you mean ${similar.join(', ')}?`;
  throw new UsageError(`there is no error code ${JSON.stringify(text)}; ${hint}`);
}

const MAX_SIMILAR = 5;
/**
 * Two codes are similar if they share a word of at least this length. Shorter words, such as NOT, would match too many
 * codes.
 */
const MIN_WORD_LENGTH = 3;

/** Returns similar codes: first those with a similar spelling, then those that share a word. */
function similarCodes(code: string): readonly string[] {
  const codes = Object.keys(ERRORS);
  const closest = nearest(code, codes);
  const words = code.split('_').filter((word) => word.length > MIN_WORD_LENGTH);
  const sharing = codes.filter((known) => known.split('_').some((word) => words.includes(word)));
  return [...new Set([...(closest === undefined ? [] : [closest]), ...sharing])].slice(0, MAX_SIMILAR);
}

function pageData({ details, ...page }: ErrorPage): object {
  return {
    ...page,
    ...(details === undefined ? {} : { details: withoutLinks(details) }),
    page: errorPagePath(page.code),
  };
}

function pageText(page: ErrorPage, paint: Paint): string {
  const { code, group, message, remedy, details, resolution } = page;
  const sections: readonly (readonly [title: string, text: string])[] = [
    ['What it means', message],
    ['What to do', `${remedy} ${resolution}`],
    ...(details === undefined ? [] : [['Details', withoutLinks(details)] as const]),
    ['Exit code', exitCodes(page)],
    ['Documentation', errorPagePath(code)],
  ];
  return [
    `${paint('bold', code)}  ${paint('dim', ERROR_GROUPS[group].title)}`,
    ...sections.flatMap(([title, text]) => ['', paint('bold', title), `  ${text}`]),
  ].join('\n');
}

function exitCodes({ exitCode, targetExitCode }: ErrorPage): string {
  return exitCode === targetExitCode
    ? `${exitCode}`
    : `${exitCode}, or ${targetExitCode} if only a target of a run fails`;
}

function listText(paint: Paint): string {
  const pages = allErrorPages();
  const width = largest(pages.map(({ code }) => code.length));
  const groups = (Object.keys(ERROR_GROUPS) as ErrorGroup[]).map((group) =>
    [
      paint('bold', ERROR_GROUPS[group].title),
      table(
        pages
          .filter((page) => page.group === group)
          .map(({ code, message }) => [`  ${code.padEnd(width)}`, message]),
      ),
    ].join('\n'),
  );
  return [...groups, 'Run `secretbridge explain-error CODE` for what to do about one of them.'].join('\n\n');
}
