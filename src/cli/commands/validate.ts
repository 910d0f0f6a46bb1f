import { loadConfig } from '../../config/load.ts';
import { targetsOf } from '../../reconcile/targets.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { count, print, printErrorHint } from '../texts/output.ts';
import { problemsText } from '../texts/problems.ts';

export async function validateCommand(context: Context, options: GlobalOptions): Promise<number> {
  const { env, cwd } = context;
  const loaded = await loadConfig({ paths: options.config ?? [], env, cwd });
  const { problems } = loaded;
  const valid = problems.length === 0;
  print(context, options.output, {
    data: { valid, problems },
    human: (paint) => {
      if (loaded.kind === 'invalid' || !valid) return problemsText(problems, paint);
      const { stores, mappings } = loaded.config;
      const parts = [
        count(stores.length, 'store'),
        count(mappings.length, 'mapping'),
        count(targetsOf(mappings).length, 'target'),
      ];
      return `${paint('green', 'The configuration is valid')}: ${parts.join(', ')}.`;
    },
  });
  printErrorHint(
    context,
    options.output,
    problems.map(({ code }) => code),
  );
  return valid ? EXIT.ok : EXIT.config;
}
