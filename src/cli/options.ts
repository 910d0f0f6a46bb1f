import { type Command, InvalidArgumentError, Option } from 'commander';
import { DURATION, durationMs, isInRange } from '../core/clock.ts';
import { ERRORS, isErrorCode } from '../core/error-codes.ts';
import { isFingerprint } from '../core/fingerprint.ts';
import { append } from '../core/lists.ts';
import { nearest } from '../core/nearest.ts';
import { UsageError } from './errors.ts';
import { COMMON, type HelpTexts, withHelp } from './texts/help.ts';

/** Runs the action of a command. */
export type Run = (command: () => Promise<number>) => Promise<void>;

/** Creates a command with the common options. The new command has the same commander settings as its parent. */
export function command(parent: Command, name: string, description: string, help: HelpTexts): Command {
  return withHelp(parent.command(name), help)
    .description(description)
    .addOption(
      new Option('-c, --config <path>', 'configuration file or folder; can be repeated')
        .argParser(collect)
        .helpGroup(COMMON),
    )
    .addOption(outputOption([...OUTPUT_FORMATS, ...(help.formats ?? [])]))
    .addOption(
      new Option('--log-level <level>', 'write logs to standard error')
        .choices(['error', 'warn', 'info', 'debug'])
        .helpGroup(COMMON),
    );
}

const OUTPUT_FORMATS = ['human', 'json', 'yaml'];

/** Adds the options of commands that send requests to a running service. */
export function withServer(command: Command, help: string): Command {
  return command
    .option('--server <url>', `${help}; the token is read from SECRETBRIDGE_TOKEN, or from your login`)
    .option('--allow-http', 'allow plain http, which exposes the token, to other machines');
}

export function outputOption(formats: readonly string[] = OUTPUT_FORMATS): Option {
  return new Option('-o, --output <format>', 'output format')
    .choices(formats)
    .default('human')
    .helpGroup(COMMON);
}

export function positiveInteger(text: string): number {
  const number = Number(text);
  // Accepts digits only. JavaScript would also accept `1e3` and `0x10`, which are probably typing errors.
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a positive whole number.');
  return number;
}

/**
 * Requires a complete fingerprint. An incomplete fingerprint would match no record, and the user would trust the empty
 * result.
 */
export function fingerprint(text: string): string {
  // Do not print the text, because it may be a secret value that was meant for `--value`.
  if (!isFingerprint(text))
    throw new UsageError(
      '--fingerprint must be a complete fingerprint from a record: 8 hexadecimal digits, a colon and 64 hexadecimal digits',
    );
  return text;
}

/** Requires a known code. An unknown code would match no record, and the user would trust the empty result. */
export function errorCode(text: string): string {
  if (isErrorCode(text)) return text;
  const near = nearest(text, Object.keys(ERRORS));
  throw new InvalidArgumentError(
    `There is no such error code${near === undefined ? '.' : `. Did you mean ${near}?`}`,
  );
}

/** Rejects empty text, which usually comes from an unset variable. An empty path would mean the working folder. */
export function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** Creates an option with a fixed set of values. */
export function choiceOption(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}

/** Collects the values of an option that can be repeated. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, nonEmpty(text)];
}

/**
 * Rejects an option that is given twice, because commander would silently drop the first value. Repeatable options and
 * options without a value are exempt. The rule also applies to all subcommands, so call this function after all options
 * are added.
 */
export function refuseRepeated(command: Command): void {
  for (const option of command.options) {
    const { parseArg } = option;
    if (!option.required || parseArg === collect) continue;
    let isGiven = false;
    option.argParser((text: string, before: unknown) => {
      // Do not print the text, because it may be a secret value that was typed in the wrong place.
      if (isGiven) throw new UsageError(`${option.long ?? option.flags} can be given only once`);
      isGiven = true;
      return parseArg === undefined ? text : parseArg(text, before);
    });
  }
  for (const below of command.commands) refuseRepeated(below);
}

const NAMES = ['--config', '--output', '--log-level'];
const SHORT = ['-c', '-o'];

/**
 * Moves common options that precede the command name to the place after the name. commander rejects options before the
 * name. Users type them there because `kubectl` and other programs accept them.
 */
export function moveEarlyOptions(args: readonly string[], program: Command): readonly string[] {
  const early: string[] = [];
  const words: string[] = [];
  let rest = args;
  for (let group: Command | undefined = program; group !== undefined && group.commands.length > 0; ) {
    const count = countLeadingOptions(rest);
    append(early, rest.slice(0, count));
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
export function countLeadingOptions(args: readonly string[]): number {
  let count = 0;
  for (let arg = args[0]; arg !== undefined; arg = args[count]) {
    if (NAMES.includes(arg) || SHORT.includes(arg)) count += 2;
    else if (NAMES.some((name) => arg?.startsWith(`${name}=`)) || /^-[co]./.test(arg)) count += 1;
    else break;
  }
  return Math.min(count, args.length);
}

/** Parses a duration with the syntax of the configuration: `25s`, `1h30m`. Returns milliseconds. */
export function durationOption(option: string, text: string): number {
  const ms = DURATION.test(text) ? durationMs(text) : 0;
  if (!isInRange(ms)) throw new UsageError(`${option} must be a duration such as 25s or 2m`);
  return ms;
}
