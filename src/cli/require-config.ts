import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { Context, GlobalOptions } from './context.ts';
import { painter, print, printErrorHint, printNotice } from './texts/output.ts';
import { problemsText } from './texts/problems.ts';

/** Loads the configuration. If it is invalid, prints its problems and returns undefined. */
export async function requireConfig(context: Context, options: GlobalOptions): Promise<Config | undefined> {
  const { env, cwd } = context;
  const loaded = await loadConfig({ paths: options.config ?? [], env, cwd });
  if (loaded.kind === 'usable') return loaded.config;
  printProblems(context, options, loaded.problems);
  return undefined;
}

/** Prints the problems of the configuration. */
export function printProblems(context: Context, options: GlobalOptions, problems: readonly Problem[]): void {
  printNotice(context, problemsText(problems, painter(context.color)));
  printErrorHint(
    context,
    options.output,
    problems.map(({ code }) => code),
  );
  if (options.output !== 'human')
    print(context, options.output, {
      data: { error: { code: 'CONFIG_INVALID', message: 'the configuration is invalid', problems } },
      human: () => '',
    });
}
