import { createRequire } from 'node:module';
import type * as Pino from 'pino';
import { type Clock, systemClock } from '../core/clock.ts';
import { allowedFields, type LogFields } from './fields.ts';
import { createScrubber, type Scrubber } from './scrub.ts';
import { formatTextLine } from './text-line.ts';

// Load pino on first use, because `--help` does not need it. Load it synchronously, because the last line before exit
// cannot wait for a promise.
const requireModule = createRequire(import.meta.url);

export type { LogFields } from './fields.ts';

/** Accepts only string literals. Text that is built at run time does not compile. */
export type Constant<Text extends string> = Record<never, never> extends Record<Text, unknown> ? never : Text;

/** The message is a constant that describes the event. The fields name the objects concerned. */
export interface Logger {
  debug<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  info<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  warn<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
  error<Text extends string>(message: Constant<Text>, fields?: LogFields): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
/** Writes each message as one JSON object or one line of text. */
export type LogFormat = 'json' | 'text';

export interface LogStream {
  write(text: string): unknown;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Logs go to standard error, because standard output contains only results. */
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
