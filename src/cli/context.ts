import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../core/clock.ts';

/** The process environment of a command. `main.ts` builds it from the real process; tests build their own. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Whether `stderr` is an interactive terminal. */
  readonly interactive: boolean;
  /** Columns of that terminal, or a default. */
  readonly width: number;
  /** Columns of `stdout`, if it is a terminal. */
  readonly columns?: number;
  readonly color: boolean;
  readonly clock: Clock;
  /** The operating system's user name. */
  readonly user: string;
  /** For prompts. Undefined without a terminal. */
  readonly ask?: { readonly input: Readable; readonly output: Writable };
  /** Standard input: a pipe, a file or a terminal. */
  readonly stdin?: Readable;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Registers a listener for SIGHUP. */
  readonly onHangup?: (listener: () => void) => void;
}

/** Options that every command has. */
export interface GlobalOptions {
  readonly config?: readonly string[];
  readonly output: 'human' | 'json' | 'yaml';
  readonly logLevel?: 'error' | 'warn' | 'info' | 'debug';
}
