import { ERRORS, type ErrorCode } from './error-codes.ts';
import type { ErrorKind, Remedy } from './error-tables/kind.ts';
import { shown } from './shown.ts';

export interface AppErrorOptions {
  /** The object it is about, by name: `store team-vault`, `payments/payments-db`. */
  readonly about?: string;
  /** A sentence of ours with names only: never a value, never a vendor's text. */
  readonly detail?: string;
  /** How long the other side asked us to wait. */
  readonly retryAfterMs?: number;
  /** What to do in this case, where what the code says in general does not help. */
  readonly todo?: string;
  /** Whether a person must act in this case, although what has the code mends itself as a rule. */
  readonly person?: boolean;
  /** Whether what was asked for is refused as things stand, so that whoever asks again without acting finds the same. */
  readonly refused?: boolean;
  /** Kept for a debugger; never printed, serialised or stored, since a vendor's error can hold credentials. */
  readonly cause?: unknown;
}

/**
 * The only error that leaves one of our parts. It takes no value, query or body: what cannot be passed in
 * cannot leak out.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly about: string | undefined;
  readonly detail: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** As one sentence. */
  readonly todo: string;
  /** Whether it may mend itself: `healsItself` of its code, but for the cases that are known not to. */
  readonly heals: boolean;
  readonly refused: boolean;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    // Whoever writes to a store or a mapping chooses names in it, and it is read on terminals.
    const about = options.about === undefined ? undefined : shown(options.about);
    const detail = options.detail === undefined ? undefined : shown(options.detail);
    super(sentence(ERRORS[code], about, detail));
    this.name = 'AppError';
    this.code = code;
    this.about = about;
    this.detail = detail;
    this.retryAfterMs = options.retryAfterMs;
    this.todo = options.todo === undefined ? ERRORS[code].todo : shown(options.todo);
    this.refused = options.refused === true;
    this.heals = healsItself(code) && options.person !== true && !this.refused;
    Object.defineProperty(this, 'cause', { value: options.cause, enumerable: false });
  }

  get remedy(): Remedy {
    return ERRORS[this.code].remedy;
  }

  /** The same error about a named object, for whoever knows the name. */
  concerning(about: string): AppError {
    return new AppError(this.code, {
      about,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      todo: this.todo,
      person: !this.heals,
      refused: this.refused,
      cause: this.cause,
    });
  }

  // Node prints `cause` by itself, and a vendor's error in it may hold a token.
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `AppError ${this.code}: ${this.message}`;
  }

  /** As every answer for a machine has it. */
  toJSON(): { readonly code: ErrorCode; readonly message: string; readonly remedy: string } {
    return { code: this.code, message: this.message, remedy: this.todo };
  }
}

function sentence({ says }: ErrorKind, about: string | undefined, detail: string | undefined): string {
  return `${about === undefined ? '' : `${about}: `}${says}${detail === undefined ? '' : ` (${detail})`}`;
}

/** Whether it may mend itself, so that trying again makes sense without a person. */
export function healsItself(code: ErrorCode): boolean {
  const { remedy } = ERRORS[code];
  return remedy === 'retry' || remedy === 'wait' || remedy === 'report-bug';
}

/** Anything thrown, as an error of ours. What we do not know is INTERNAL, and its text stays inside. */
export function toAppError(thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : new AppError('INTERNAL', { cause: thrown });
}

/** Closes a union: a new member makes this call a type error. */
export function assertNever(value: never): never {
  throw new AppError('INTERNAL', { detail: `unexpected case ${typeof value}` });
}
