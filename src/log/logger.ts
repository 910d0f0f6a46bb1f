import { createRequire } from 'node:module';
import type * as Pino from 'pino';
import { type Clock, systemClock } from '../core/clock.ts';
import { allowedFields, type LogFields } from './fields.ts';
import { createScrubber, type Scrubber } from './scrub.ts';
import { formatTextLine } from './text-line.ts';

// Load pino on first use, so that `--help` does not. The load is synchronous, since a last line before exit cannot wait
// for a promise.
const requireModule = createRequire(import.meta.url);

export type { LogFields } from './fields.ts';

/** Accepts only string literals: text that is built at run time does not compile. */
export type Constant<Text extends string> = Record<never, never> extends Record<Text, unknown> ? never : Text;

/** The message is a constant that says what happened. The fields say to what. */
export interface Logger {
  debug<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  info<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  warn<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  error<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** One JSON object or one line of text for each message. */
export type LogFormat = 'json' | 'text';

export interface LogStream {
  write(text: string): unknown;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Standard error, so that standard output holds results only. */
  readonly stream: LogStream;
  readonly scrubber?: Scrubber;
  readonly clock?: Clock;
}

export function createLogger(options: LoggerOptions): Logger {
  const { level, format, stream, scrubber = createScrubber(), clock = systemClock } = options;
  const { pino } = requireModule('pino') as typeof Pino;
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write: (line: string) => stream.write(scrubber.scrub(format === 'json' ? line : formatTextLine(line))),
    },
  );
  const method =
    (name: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      logger[name](allowedFields(fields), message);
  return { debug: method('debug'), info: method('info'), warn: method('warn'), error: method('error') };
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
