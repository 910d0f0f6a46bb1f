import { ERRORS, type ErrorCode } from '../../core/error-codes.ts';
import { AppError, type AppErrorOptions } from '../../core/errors.ts';
import { toPrintable } from '../../core/printable.ts';

/** No secretbridge service answers, or its answer has an unknown format. */
export function unreachable(address: string, detail: string, todo?: string): AppError {
  return new AppError('SERVICE_UNAVAILABLE', {
    subject: address,
    detail,
    ...(todo === undefined ? {} : { remedy: todo }),
  });
}

/**
 * Rebuilds the error of a service's answer. A message has the form `<subject>: <message of the code> (<detail>)`, so it
 * can be split.
 */
export function parseServiceError(
  code: ErrorCode,
  message: string,
  more: Pick<AppErrorOptions, 'retryAfterMs' | 'remedy' | 'isRefusal'> = {},
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

/** Makes external text safe for a terminal and limits its length. `…` shows that it was cut. */
export function safeText(text: string): string {
  const line = safeLine(text);
  return line.length > MAX_TEXT_LENGTH ? `${line.slice(0, MAX_TEXT_LENGTH)}…` : line;
}

const MAX_TEXT_LENGTH = 1_000;

/**
 * Makes external text safe for a terminal, on one line. Invisible characters are escaped, because two names could look
 * equal.
 */
export function safeLine(text: string): string {
  return toPrintable(text.replace(/\s*[\n\r\t]\s*/g, ' '));
}
