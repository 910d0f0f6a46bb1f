import { createRequire } from 'node:module';
import type * as Pino from 'pino';
import { type Clock, systemClock } from '../core/clock.ts';
import { allowedFields, type LogFields } from './log-fields.ts';
import { createScrubber, type Scrubber } from './scrub.ts';

/** Formats a JSON log line as text: `<time> <LEVEL> <message> <name>=<value> …`. */
function formatTextLine(json: string): string {
  const { time, level, message, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const head = `${String(time)} ${String(level).toUpperCase().padEnd(5)} ${String(message)}`;
  const pairs = Object.entries(fields).map(([name, value]) => ` ${name}=${quoteIfNeeded(value)}`);
  return `${head}${pairs.join('')}\n`;
}

/** Quotes each value that is not one plain word. Otherwise a value could move the cursor or imitate another field. */
function quoteIfNeeded(value: unknown): string {
  if (typeof value === 'string' && /^[\w./:@+-]+$/.test(value)) return value;
  return JSON.stringify(value).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// Load pino on first use, because `--help` does not need it. Load it synchronously, because the last line before exit
// cannot wait for a promise.
const requireModule = createRequire(import.meta.url);

export type { LogFields } from './log-fields.ts';

/** Accepts only string literals. Text that is built at run time does not compile. */
type Constant<Text extends string> = Record<never, never> extends Record<Text, unknown> ? never : Text;

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

interface LogStream {
  write(text: string): unknown;
}

interface LoggerOptions {
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
