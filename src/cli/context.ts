import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../core/clock.ts';

/** What a command gets from the process; `main.ts` takes it from there, tests make their own. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Whether `stderr` is a terminal that a person looks at. */
  readonly interactive: boolean;
  /** Columns of that terminal, or of a usual one. */
  readonly width: number;
  /** Columns of `stdout`, if that is a terminal. */
  readonly columns?: number;
  readonly color: boolean;
  readonly clock: Clock;
  /** The operating system's name for who runs this. */
  readonly user: string;
  /** Where a person can be asked; none when nobody sits there. */
  readonly ask?: { readonly input: Readable; readonly output: Writable };
  /** What is piped into it; a terminal too. */
  readonly stdin?: Readable;
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal;
  /** Calls the listener at each SIGHUP, from now on. */
  readonly onHangup?: (listener: () => void) => void;
}

/** Options that every command has. */
export interface GlobalOptions {
  readonly config?: readonly string[];
  readonly output: 'human' | 'json' | 'yaml';
  readonly logLevel?: 'error' | 'warn' | 'info' | 'debug';
}
