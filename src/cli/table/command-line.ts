import { type Command, InvalidArgumentError, Option } from 'commander';
import { nearest } from '../../config/nearest.ts';
import { ERRORS, isErrorCode } from '../../core/error-codes.ts';
import { isFingerprint } from '../../core/fingerprint.ts';
import { COMMON, example } from '../texts/help.ts';
import { UsageError } from '../usage-error.ts';

/** Hands over what a command does. */
export type Run = (command: () => Promise<number>) => Promise<void>;

/** A command with the options that all have; settings of the parent are inherited by commander. */
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
      new Option('-c, --config <path>', 'configuration file or folder; may be given several times')
        .argParser(collect)
        .helpGroup(COMMON),
    )
    .addOption(outputOption())
    .addOption(
      new Option('--log-level <level>', 'log to stderr')
        .choices(['error', 'warn', 'info', 'debug'])
        .helpGroup(COMMON),
    )
    .addHelpText('after', example(examples));
}

/** For commands that talk to a running service. */
export function withServer(command: Command, help: string): Command {
  return command
    .option('--server <url>', `${help}; the token is taken from SECRETBRIDGE_TOKEN`)
    .option('--allow-http', 'send the token over plain http, not only to this machine');
}

export function outputOption(): Option {
  return new Option('-o, --output <format>', 'form of the result')
    .choices(['human', 'json', 'yaml'])
    .default('human')
    .helpGroup(COMMON);
}

export function positive(text: string): number {
  const number = Number(text);
  // By its digits: `1e3` and `0x10` are numbers to the language, and to nobody who types a sequence.
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < 1)
    throw new InvalidArgumentError('It must be a whole number from 1.');
  return number;
}

/** One that is none would be on no record, which is an answer that people go by. */
export function fingerprint(text: string): string {
  // Not with the text: it may be a value that was meant for `--value`.
  if (!isFingerprint(text))
    throw new UsageError(
      '--fingerprint must be the whole of it, as a record has it: 8 hexadecimal digits, a colon and 64 more',
    );
  return text;
}

/** A wrong one would be on no record either. Those of a newer version are named in its own reference. */
export function errorCode(text: string): string {
  if (isErrorCode(text)) return text;
  const near = nearest(text, Object.keys(ERRORS));
  throw new InvalidArgumentError(
    `There is no such error code${near === undefined ? '.' : `: did you mean ${near}?`}`,
  );
}

/** An empty one, of a variable that is not set, would be the name of nothing, or mean the working folder. */
export function filled(text: string): string {
  if (text === '') throw new InvalidArgumentError('It must not be empty.');
  return text;
}

/** One of some words. */
export function word(flags: string, description: string, words: readonly string[]): Option {
  return new Option(flags, description).choices(words);
}

/** Of an option that may be given several times. */
export function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, filled(text)];
}

/**
 * Of an option that is given twice, the first value would be left out, and nobody told. This is for all commands below
 * one, once they have all their options: but for those that are collected, and those without a value.
 */
export function refuseRepeated(command: Command): void {
  for (const option of command.options) {
    const { parseArg } = option;
    if (!option.required || parseArg === collect) continue;
    let isGiven = false;
    option.argParser((text: string, before: unknown) => {
      // Without the text, which may be a value in the wrong place.
      if (isGiven) throw new UsageError(`${option.long ?? option.flags} may be given once`);
      isGiven = true;
      return parseArg === undefined ? text : parseArg(text, before);
    });
  }
  for (const below of command.commands) refuseRepeated(below);
}
