import { readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../core/clock.ts';

/**
 * The environment in which a command runs. `main.ts` creates the context from the process, and tests create their own.
 */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Whether `stderr` is an interactive terminal. */
  readonly interactive: boolean;
  /** The number of columns of `stderr`, or a default. */
  readonly width: number;
  /** The number of columns of `stdout`, if it is a terminal. */
  readonly columns?: number;
  readonly color: boolean;
  readonly clock: Clock;
  /** The operating system's user name. */
  readonly user: string;
  /** The terminal for prompts. Undefined without a terminal. */
  readonly ask?: { readonly input: Readable; readonly output: Writable };
  /** Standard input, which can be a pipe, a file or a terminal. */
  readonly stdin?: Readable;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Limits the heap of the whole process. Undefined if the process also does other work. */
  readonly keepHeapSmall?: (kind: 'service' | 'command') => void;
  /** Registers a listener for SIGHUP. */
  readonly onHangup?: (listener: () => void) => void;
}

/** The options that every command has. */
export interface GlobalOptions {
  readonly config?: readonly string[];
  /** `markdown` only for commands that offer it. */
  readonly output: 'human' | 'json' | 'yaml' | 'markdown';
  readonly logLevel?: 'error' | 'warn' | 'info' | 'debug';
}

/** The version of the program, from `package.json`. */
export const VERSION: string = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const parsed: unknown = JSON.parse(text);
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed
    ? String(parsed.version)
    : '0.0.0';
}
