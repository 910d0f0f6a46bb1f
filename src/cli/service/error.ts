import { z } from 'zod';
import { ERRORS, type ErrorCode, isErrorCode } from '../../core/error-codes.ts';
import { AppError, type AppErrorOptions, toPrintable } from '../../core/errors.ts';

/**
 * Creates the error for two cases: no secretbridge service answers at the address, or the response has an unknown
 * format.
 */
export function unreachable(address: string, detail: string, todo?: string): AppError {
  return new AppError('SERVICE_UNAVAILABLE', {
    subject: address,
    detail,
    ...(todo === undefined ? {} : { remedy: todo }),
  });
}

/**
 * Converts the error of a response back to an AppError. The message of the response has the form `<subject>: <message
 * of the code> (<detail>)`, so its parts can be recovered.
 */
export function parseServiceError(
  code: ErrorCode,
  message: string,
  more: Pick<AppErrorOptions, 'retryAfterMs' | 'remedy' | 'isRefusal' | 'requests'> = {},
): AppError {
  const says = ERRORS[code].message;
  const at = message.indexOf(says);
  const about = at > 0 ? message.slice(0, at).replace(/: $/, '') : '';
  const rest = at === -1 ? message : message.slice(at + says.length).trim();
  const detail = rest.replace(/^\((.*)\)$/s, '$1');
  return new AppError(code, {
    ...(about === '' ? {} : { subject: about }),
    ...(detail === '' ? {} : { detail }),
    ...more,
  });
}

const ErrorAnswer = z.looseObject({
  code: z.string(),
  message: z.string(),
  remedy: z.string().optional(),
  requests: z.array(z.string()).optional(),
});

/** Returns the error in the body of a response. Undefined if the response is not one of a secretbridge service. */
export function serviceErrorIn(
  body: unknown,
  { status, retryAfterMs }: { readonly status: number; readonly retryAfterMs: number | undefined },
): AppError | undefined {
  const error = ErrorAnswer.safeParse(body).data;
  if (error === undefined || !isErrorCode(error.code)) return undefined;
  return parseServiceError(error.code, safeText(error.message), {
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(error.remedy === undefined ? {} : { remedy: safeText(error.remedy) }),
    ...(error.requests === undefined ? {} : { requests: error.requests.map(safeText) }),
    // Status 409 means that the service refused the request. A refusal needs a person, even if its error code is
    // usually transient.
    isRefusal: status === 409,
  });
}

/** Makes external text safe for a terminal, and limits its length. A truncated text ends with `…`. */
export function safeText(text: string): string {
  const line = safeLine(text);
  return line.length > MAX_TEXT_LENGTH ? `${line.slice(0, MAX_TEXT_LENGTH)}…` : line;
}

const MAX_TEXT_LENGTH = 1_000;

/**
 * Converts external text to one line that is safe for a terminal. Escapes invisible characters, because otherwise two
 * different names could look equal.
 */
export function safeLine(text: string): string {
  return toPrintable(text.replace(/\s*[\n\r\t]\s*/g, ' '));
}
