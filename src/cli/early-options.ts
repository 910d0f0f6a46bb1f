import type { Command } from 'commander';

const NAMES = ['--config', '--output', '--log-level'];
const SHORT = ['-c', '-o'];

/**
 * The arguments with the options that all commands have behind the command's name. `kubectl` and others take theirs
 * before it, too; commander would not know them there.
 */
export function withEarlyOptions(args: readonly string[], program: Command): readonly string[] {
  const early: string[] = [];
  const words: string[] = [];
  let rest = args;
  for (let group: Command | undefined = program; group !== undefined && group.commands.length > 0; ) {
    const count = leading(rest);
    early.push(...rest.slice(0, count));
    rest = rest.slice(count);
    const word: string | undefined = rest[0];
    group = group.commands.find((it) => it.name() === word);
    // Of a line that names no command, what it lacks is the command, and not one of these options.
    if (word === undefined) return words;
    if (group === undefined) break;
    words.push(word);
    rest = rest.slice(1);
  }
  return words.length === 0 ? [...rest, ...early] : [...words, ...early, ...rest];
}

/** How many of the first arguments are such options, their values included. */
function leading(args: readonly string[]): number {
  let count = 0;
  for (let arg = args[0]; arg !== undefined; arg = args[count]) {
    if (NAMES.includes(arg) || SHORT.includes(arg)) count += 2;
    else if (NAMES.some((name) => arg?.startsWith(`${name}=`)) || /^-[co]./.test(arg)) count += 1;
    else break;
  }
  return Math.min(count, args.length);
}
