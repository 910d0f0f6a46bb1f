import { Argument, type Command } from 'commander';
import type { Context } from '../context.ts';
import { EXIT } from '../errors.ts';
import type { Run } from '../options.ts';
import type { NameKind } from '../texts/completion-scripts.ts';

const KINDS: readonly NameKind[] = ['mappings', 'namespaces', 'stores'];

/**
 * Adds the command that the completion scripts call. It prints the names in the configuration, one on each line. An
 * invalid configuration has no names, and no message disturbs the command line that somebody is typing.
 */
export function addComplete(program: Command, context: Context, run: Run): void {
  program
    .command('complete', { hidden: true })
    .description('Print names in the configuration for shell completion.')
    .addArgument(new Argument('<kind>', 'kind of names').choices(KINDS))
    .argument('[words...]', 'the words of the command line, which may contain --config')
    .action((kind: NameKind, words: readonly string[]) =>
      run(async () => {
        const names = await namesIn(context, kind, words);
        context.stdout.write(names.map((name) => `${name}\n`).join(''));
        return EXIT.ok;
      }),
    );
}

async function namesIn(
  { env, cwd }: Context,
  kind: NameKind,
  words: readonly string[],
): Promise<readonly string[]> {
  const { loadConfig } = await import('../../config/load.ts');
  const loaded = await loadConfig({ paths: configPaths(words), env, cwd });
  if (loaded.kind === 'invalid') return [];
  const { stores, mappings } = loaded.config;
  if (kind === 'stores') return stores.map(({ name }) => name);
  if (kind === 'mappings') return mappings.map(({ name }) => name);
  return [...new Set(mappings.flatMap(({ target }) => target.namespaces))].toSorted();
}

/** Returns the values of `--config`. Bash makes three words of `--config=PATH`. */
function configPaths(words: readonly string[]): readonly string[] {
  const joined = words.filter((word) => word !== '=');
  return joined.flatMap((word, index) => {
    if (word.startsWith('--config=')) return [word.slice('--config='.length)];
    const next = joined[index + 1] ?? '';
    return (word === '--config' || word === '-c') && next !== '' ? [next] : [];
  });
}
