import type { Command } from 'commander';

const NAMES = ['--config', '--output', '--log-level'];
const SHORT = ['-c', '-o'];

/**
 * Moves common options from before the command name to after it. `kubectl` and others accept such options there;
 * commander does not.
 */
export function moveEarlyOptions(args: readonly string[], program: Command): readonly string[] {
  const early: string[] = [];
  const words: string[] = [];
  let rest = args;
  for (let group: Command | undefined = program; group !== undefined && group.commands.length > 0; ) {
    const count = countLeadingOptions(rest);
    early.push(...rest.slice(0, count));
    rest = rest.slice(count);
    const word: string | undefined = rest[0];
    group = group.commands.find((command) => command.name() === word);
    // Without a command, commander should report the missing command and not these options.
    if (word === undefined) return words;
    if (group === undefined) break;
    words.push(word);
    rest = rest.slice(1);
  }
  return words.length === 0 ? [...rest, ...early] : [...words, ...early, ...rest];
}

/** The number of leading arguments that are common options, including their values. */
function countLeadingOptions(args: readonly string[]): number {
  let count = 0;
  for (let arg = args[0]; arg !== undefined; arg = args[count]) {
    if (NAMES.includes(arg) || SHORT.includes(arg)) count += 2;
    else if (NAMES.some((name) => arg?.startsWith(`${name}=`)) || /^-[co]./.test(arg)) count += 1;
    else break;
  }
  return Math.min(count, args.length);
}
