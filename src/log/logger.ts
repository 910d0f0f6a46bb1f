import { createRequire } from 'node:module';
import type * as Pino from 'pino';
import { type Clock, systemClock } from '../core/clock.ts';
import { allowedFields, type LogFields } from './fields.ts';
import { lineFrom } from './line.ts';
import { createScrubber, type Scrubber } from './scrub.ts';

// Whoever only prints help logs nothing. Without a promise: what ends the process with a last line cannot wait.
const load = createRequire(import.meta.url);

export type { LogFields } from './fields.ts';

/** Accepts what the compiler knows to the letter; a text put together at run time does not compile. */
export type Constant<Text extends string> = Record<never, never> extends Record<Text, unknown> ? never : Text;

/** What happened is the message, always the same for the same thing; to what it happened is in the fields. */
export interface Logger {
  debug<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  info<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  warn<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  error<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** One JSON object a line, or a line for people. */
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
  const { pino } = load('pino') as typeof Pino;
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => stream.write(scrubber.scrub(format === 'json' ? line : lineFrom(line))) },
  );
  const at =
    (name: LogLevel) =>
    (message: string, fields: LogFields = {}): void =>
      logger[name](allowedFields(fields), message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
