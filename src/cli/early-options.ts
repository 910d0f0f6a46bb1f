import type { Command } from 'commander';

const NAMES = ['--config', '--output', '--log-level'];
const SHORT = ['-c', '-o'];

/**
 * Moves common options from before the command name to after it. commander rejects options before the name, but
 * `kubectl` and other programs accept them.
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
    // If there is no command, return the arguments unchanged, so that commander reports the missing command.
    if (word === undefined) return words;
    if (group === undefined) break;
    words.push(word);
    rest = rest.slice(1);
  }
  return words.length === 0 ? [...rest, ...early] : [...words, ...early, ...rest];
}

/** Returns the number of leading arguments that are common options or their values. */
function countLeadingOptions(args: readonly string[]): number {
  let count = 0;
  for (let arg = args[0]; arg !== undefined; arg = args[count]) {
    if (NAMES.includes(arg) || SHORT.includes(arg)) count += 2;
    else if (NAMES.some((name) => arg?.startsWith(`${name}=`)) || /^-[co]./.test(arg)) count += 1;
    else break;
  }
  return Math.min(count, args.length);
}
