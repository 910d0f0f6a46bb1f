import { ERRORS, type ErrorCategory, type ErrorCode, type ErrorKind } from './error-codes.ts';
import { isObject } from './json.ts';

/** Control characters, line breaks, and characters that are invisible or change the text direction. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/**
 * Makes a text with names from outside safe to print on one line. Escapes unprintable characters, for example as
 * `\u{1B}`.
 */
export function toPrintable(text: string): string {
  return text.replace(UNPRINTABLE, escapeCharacter);
}

/** A key of a tenant can be as long as its file, and an error is kept and logged for each of its targets. */
const MAX_TEXT = 2_000;

function shown(text: string): string {
  return toPrintable(text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}…`);
}

/** @param character A single character. */
export function escapeCharacter(character: string): string {
  return `\\u{${(character.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`;
}

export interface AppErrorOptions {
  /** The name of the affected object, such as `store team-vault` or `payments/payments-db`. */
  readonly subject?: string;
  /** More about the error, in our own words. Contains only names: never a value or a vendor's text. */
  readonly detail?: string;
  /** The delay that the server asked for, in milliseconds. */
  readonly retryAfterMs?: number;
  /** Replaces the general remedy of the code, if the general remedy would not help in this case. */
  readonly remedy?: string;
  /** Whether a person must act, although errors with this code are usually transient. */
  readonly needsAction?: boolean;
  /**
   * Whether the request was rejected because of the current state. Repeating the request alone would give the same
   * result.
   */
  readonly isRefusal?: boolean;
  /** The ids of the requests for approval on which the action waits. */
  readonly requests?: readonly string[];
  /**
   * The original error, for debuggers. It is never printed, serialized or stored, because a vendor's error can contain
   * credentials.
   */
  readonly cause?: unknown;
}

/**
 * The only error type that modules may pass to each other. It has no field for a value, a query or a body, so it cannot
 * leak one.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly subject: string | undefined;
  readonly detail: string | undefined;
  readonly retryAfterMs: number | undefined;
  /** What the user should do. */
  readonly remedy: string;
  /** Whether a retry may succeed. True if the code is transient and this case is not known to be permanent. */
  readonly isTransient: boolean;
  readonly isRefusal: boolean;
  /** The ids of the requests for approval on which the action waits. */
  readonly requests: readonly string[] | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    // Subject and detail can contain names from users of a store or a mapping, and are shown on terminals. Escape
    // control characters.
    const subject = options.subject === undefined ? undefined : shown(options.subject);
    const detail = options.detail === undefined ? undefined : shown(options.detail);
    super(sentence(ERRORS[code], subject, detail));
    this.name = 'AppError';
    this.code = code;
    this.subject = subject;
    this.detail = detail;
    this.retryAfterMs = options.retryAfterMs;
    this.remedy = options.remedy === undefined ? ERRORS[code].remedy : shown(options.remedy);
    this.isRefusal = options.isRefusal === true;
    this.requests = options.requests;
    this.isTransient = isTransient(code) && options.needsAction !== true && !this.isRefusal;
    Object.defineProperty(this, 'cause', { value: options.cause, enumerable: false });
  }

  get category(): ErrorCategory {
    return ERRORS[this.code].category;
  }

  /** Returns the same error with a subject, for callers that know the name of the affected object. */
  withSubject(subject: string): AppError {
    return new AppError(this.code, {
      subject,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs }),
      remedy: this.remedy,
      needsAction: !this.isTransient,
      isRefusal: this.isRefusal,
      ...(this.requests === undefined ? {} : { requests: this.requests }),
      cause: this.cause,
    });
  }

  // Node prints `cause` by default. It may be a vendor's error that contains a token.
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `AppError ${this.code}: ${this.message}`;
  }

  /** Returns the JSON form of the error for all machine-readable output. */
  toJSON(): ErrorData {
    const { code, message, remedy, requests } = this;
    return { code, message, remedy, ...(requests === undefined ? {} : { requests }) };
  }
}

/** An error in machine-readable output. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  /** The ids of the requests for approval on which the action waits. */
  readonly requests?: readonly string[];
}

function sentence({ message }: ErrorKind, about: string | undefined, detail: string | undefined): string {
  return `${about === undefined ? '' : `${about}: `}${message}${detail === undefined ? '' : ` (${detail})`}`;
}

/** Whether a retry may succeed without any action by a person. */
export function isTransient(code: ErrorCode): boolean {
  const { category } = ERRORS[code];
  return category === 'retry' || category === 'wait' || category === 'report-bug';
}

/** Converts any thrown value to an AppError. Unknown errors become INTERNAL, and their text is not exposed. */
export function toAppError(thrown: unknown): AppError {
  return thrown instanceof AppError ? thrown : new AppError('INTERNAL', { cause: thrown });
}

/** Makes a `switch` over a union exhaustive: an unhandled member makes this call a type error. */
export function assertNever(value: never): never {
  throw new AppError('INTERNAL', { detail: `unexpected case ${typeof value}` });
}

/**
 * Whether the error means that the whole cluster is unavailable. A response with status 500 is no such error: it
 * arrives without a timeout and concerns one object, for example because of a broken admission webhook.
 */
export function isClusterOutage({ code, cause }: AppError): boolean {
  return code === 'CLUSTER_UNAVAILABLE' && !(isObject(cause) && cause.status === 500);
}

/**
 * After this many unanswered calls in a row, the remaining calls are skipped. Each of them would wait for its timeout
 * too.
 */
export const MAX_UNANSWERED_CALLS = 3;
