import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { Context, GlobalOptions } from './context.ts';
import { painter, print, tell } from './texts/output.ts';
import { problemsText } from './texts/problems.ts';

/**
 * The configuration; or nothing, with its problems printed.
 * @param meanwhile What there is to do while another thread parses it, if it is long.
 */
export async function requireConfig(
  context: Context,
  options: GlobalOptions,
  meanwhile?: () => Promise<unknown>,
): Promise<Config | undefined> {
  const { env, cwd } = context;
  const loaded = await loadConfig({ paths: options.config ?? [], env, cwd, meanwhile });
  if (loaded.kind === 'usable') return loaded.config;
  tellProblems(context, options, loaded.problems);
  return undefined;
}

/** Prints why there is no configuration. */
export function tellProblems(context: Context, options: GlobalOptions, problems: readonly Problem[]): void {
  tell(context, problemsText(problems, painter(context.color)));
  if (options.output !== 'human')
    print(context, options.output, {
      data: { error: { code: 'CONFIG_INVALID', message: 'the configuration is invalid', problems } },
      human: () => '',
    });
}
