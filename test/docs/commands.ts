import { CommanderError } from 'commander';
import { helpContext } from '../../scripts/docs/cli-page.ts';
import { buildProgram } from '../../src/cli/cli.ts';
import { moveEarlyOptions } from '../../src/cli/options.ts';
import { type Block, type Page, proseOf } from './markdown.ts';

export interface CommandLine {
  readonly args: readonly string[];
  /** Whether a sentence only mentions the call. Otherwise, the call is a command to type. */
  readonly mention: boolean;
  readonly place: string;
}

const PROGRAM = /(?:\bnpm run (?:--silent )?secretbridge --|(?<![\w./-])secretbridge)(?= )/;

/**
 * Returns the calls of `secretbridge` in a code block. In a script, each line can be a call. In a session, a call
 * follows `$ `.
 */
export function commandLinesOf({ language, text, location: place }: Block): readonly CommandLine[] {
  if (language !== 'sh' && language !== 'console') return [];
  const lines = text.replaceAll(/\\\n\s*/g, ' ').split('\n');
  const commands =
    language === 'sh' ? lines : lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
  return commands.flatMap((line) => callIn(line, place, false));
}

/** Returns the calls of `secretbridge` in inline code. A placeholder such as `…` is not a call. */
export function inlineCallsOf(page: Page): readonly CommandLine[] {
  return [...proseOf(page).matchAll(/`((?:npm run (?:--silent )?secretbridge -- |secretbridge )[^`\n]+)`/g)]
    .map(([, code]) => code ?? '')
    .flatMap((code) => callIn(code, page.path, true));
}

function callIn(line: string, place: string, mention: boolean): readonly CommandLine[] {
  // In calls of these programs, `secretbridge` is the name of a role, an image or a namespace.
  if (/^\s*(?:\w+=\$\()?(#|alias |aws |az |bao |helm |kind |kubectl |openssl |vault )/.test(line)) return [];
  const match = PROGRAM.exec(line);
  if (match === null) return [];
  const args = shellWords(line.slice(match.index + match[0].length));
  return [{ args, mention, place: `${place}: ${line.trim()}` }];
}

/** Splits text like a shell, up to the end of the command. */
function shellWords(text: string): readonly string[] {
  const end = /^(?:[^'"|;&>#]|'[^']*'|"[^"]*")*/.exec(text)?.[0] ?? text;
  return [...end.matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g)].map(([word]) =>
    word.replaceAll(/'([^']*)'|"([^"]*)"/g, '$1$2'),
  );
}

/**
 * Returns the error that the program would report for a command line. Returns undefined if the command line is valid.
 */
export async function usageProblem({ args, mention }: CommandLine): Promise<string | undefined> {
  const errors: string[] = [];
  let runs = false;
  const program = await buildProgram(helpContext(errors), async () => {
    runs = true;
  });
  try {
    await program.parseAsync([...moveEarlyOptions(args, program)], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Sentences often mention a command without its argument.
    const isMention = error.code === 'commander.missingArgument' && mention;
    return error.exitCode === 0 || isMention ? undefined : errors.join('');
  }
  return runs ? undefined : 'not a command';
}
