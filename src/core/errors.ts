import { ERRORS, type ErrorCode } from './error-codes.ts';
import type { ErrorCategory, ErrorKind } from './error-tables/kind.ts';
import { toPrintable } from './printable.ts';

export interface AppErrorOptions {
  /** The affected object by name: `store team-vault`, `payments/payments-db`. */
  readonly subject?: string;
  /** Our own sentence, which contains names only: never a value, never a vendor's text. */
  readonly detail?: string;
  /** The delay that the remote side asked for, in milliseconds. */
  readonly retryAfterMs?: number;
  /** A remedy for this case, if the general remedy of the code does not help. */
  readonly remedy?: string;
  /** Whether a person must act in this case, although errors with this code are usually transient. */
  readonly needsAction?: boolean;
  /**
   * Whether the request was rejected in the current state. Repeating it without any other action gives the same result.
   */
  readonly isRefusal?: boolean;
  /**
   * Kept for a debugger. It is never printed, serialized or stored, because a vendor's error can contain credentials.
   */
  readonly cause?: unknown;
}

/**
 * The only error type that crosses the boundaries between our parts. It takes no value, query or body, so it cannot
 * leak one.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly subject: string | undefined;
  readonly detail: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** What the user should do. */
  readonly remedy: string;
  /** Whether a retry may succeed: `isTransient` of the code, except for cases that are known to be permanent. */
  readonly isTransient: boolean;
  readonly isRefusal: boolean;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    // These names can come from users of a store or a mapping, and terminals display them.
    const subject = options.subject === undefined ? undefined : toPrintable(options.subject);
    const detail = options.detail === undefined ? undefined : toPrintable(options.detail);
    super(sentence(ERRORS[code], subject, detail));
    this.name = 'AppError';
    this.code = code;
    this.subject = subject;
    this.detail = detail;
    this.retryAfterMs = options.retryAfterMs;
    this.remedy = options.remedy === undefined ? ERRORS[code].remedy : toPrintable(options.remedy);
    this.isRefusal = options.isRefusal === true;
    this.isTransient = isTransient(code) && options.needsAction !== true && !this.isRefusal;
    Object.defineProperty(this, 'cause', { value: options.cause, enumerable: false });
  }

  get category(): ErrorCategory {
    return ERRORS[this.code].category;
  }

  /** The same error with a named subject, for callers that know the name. */
  withSubject(subject: string): AppError {
    return new AppError(this.code, {
      subject,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      remedy: this.remedy,
      needsAction: !this.isTransient,
      isRefusal: this.isRefusal,
      cause: this.cause,
    });
  }

  // Node prints `cause` by default, and a vendor's error in it may contain a token.
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `AppError ${this.code}: ${this.message}`;
  }

  /** The form in every machine-readable answer. */
  toJSON(): { readonly code: ErrorCode; readonly message: string; readonly remedy: string } {
    return { code: this.code, message: this.message, remedy: this.remedy };
  }
}

function sentence({ message }: ErrorKind, about: string | undefined, detail: string | undefined): string {
  return `${about === undefined ? '' : `${about}: `}${message}${detail === undefined ? '' : ` (${detail})`}`;
}

/** Whether a retry may succeed without action by a person. */
export function isTransient(code: ErrorCode): boolean {
  const { category } = ERRORS[code];
  return category === 'retry' || category === 'wait' || category === 'report-bug';
}

/** Converts anything thrown to an AppError. Unknown errors become INTERNAL, and their text is not exposed. */
export function toAppError(thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : new AppError('INTERNAL', { cause: thrown });
}

/** Closes a union: adding a member makes this call a type error. */
export function assertNever(value: never): never {
  throw new AppError('INTERNAL', { detail: `unexpected case ${typeof value}` });
}
