import { type Command, InvalidArgumentError, Option } from 'commander';
import { nearest } from '../../config/nearest.ts';
import { ERRORS, isErrorCode } from '../../core/error-codes.ts';
import { isFingerprint } from '../../core/fingerprint.ts';
import { COMMON, example } from '../texts/help.ts';
import { UsageError } from '../usage-error.ts';

/** Runs the action of a command. */
export type Run = (command: () => Promise<number>) => Promise<void>;

/** Creates a command with the common options. commander copies the settings of the parent. */
export function command(
  parent: Command,
  name: string,
  description: string,
  examples: readonly string[],
): Command {
  return parent
    .command(name)
    .description(description)
    .addOption(
      new Option('-c, --config <path>', 'configuration file or folder; can be repeated')
        .argParser(collect)
        .helpGroup(COMMON),
    )
    .addOption(outputOption())
    .addOption(
      new Option('--log-level <level>', 'write logs to standard error')
        .choices(['error', 'warn', 'info', 'debug'])
        .helpGroup(COMMON),
    )
    .addHelpText('after', example(examples));
}

/** For commands that talk to a running service. */
export function withServer(command: Command, help: string): Command {
  return command
    .option('--server <url>', `${help}; the token is read from SECRETBRIDGE_TOKEN`)
    .option('--allow-http', 'allow plain http, which exposes the token, to other machines');
}

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'output format')
    .choices(['human', 'json', 'yaml'])
    .default('human')
    .helpGroup(COMMON);
}

export function positiveInteger(text: string): number {
  const number = Number(text);
  // Digits only: JavaScript also accepts `1e3` and `0x10`, which are typing errors here.
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a positive whole number.');
  return number;
}

/** An incomplete fingerprint would match no record, and the empty answer would look reliable. */
export function fingerprint(text: string): string {
  // Without the text, because it may be a value that was meant for `--value`.
  if (!isFingerprint(text))
    throw new UsageError(
      '--fingerprint must be a complete fingerprint from a record: 8 hexadecimal digits, a colon and 64 hexadecimal digits',
    );
  return text;
}

/** An unknown code would match no record, and the empty answer would look reliable. */
export function errorCode(text: string): string {
  if (isErrorCode(text)) return text;
  const near = nearest(text, Object.keys(ERRORS));
  throw new InvalidArgumentError(
    `There is no such error code${near === undefined ? '.' : `. Did you mean ${near}?`}`,
  );
}

/** Rejects the empty text of an unset variable, which would name nothing or the working folder. */
export function nonEmpty(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** An option with a fixed set of values. */
export function choiceOption(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}

/** For an option that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, nonEmpty(text)];
}

/**
 * Rejects an option that is given twice, because commander would silently drop the first value. Applies to all
 * subcommands, so call it after all options are added. Repeatable options and switches are exempt.
 */
export function refuseRepeated(command: Command): void {
  for (const option of command.options) {
    const { parseArg } = option;
    if (!option.required || parseArg === collect) continue;
    let isGiven = false;
    option.argParser((text: string, before: unknown) => {
      // Without the text, which may be a value in the wrong place.
      if (isGiven) throw new UsageError(`${option.long ?? option.flags} can be given only once`);
      isGiven = true;
      return parseArg === undefined ? text : parseArg(text, before);
    });
  }
  for (const below of command.commands) refuseRepeated(below);
}
