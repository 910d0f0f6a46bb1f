import { ERRORS, type ErrorCode } from '../../core/error-codes.ts';
import { AppError, type AppErrorOptions } from '../../core/errors.ts';
import { shown } from '../../core/shown.ts';

/** No service of ours answers where one was looked for, or in a form that this version does not know. */
export function unreachable(address: string, detail: string, todo?: string): AppError {
  return new AppError('SERVICE_UNAVAILABLE', {
    about: address,
    detail,
    ...(todo === undefined ? {} : { todo }),
  });
}

/**
 * The error that a service answered with, as the same error here. A message is
 * `<about>: <what the code says> (<detail>)`, so its parts are found again.
 */
export function errorOf(
  code: ErrorCode,
  message: string,
  more: Pick<AppErrorOptions, 'retryAfterMs' | 'todo' | 'refused'> = {},
): AppError {
  const says = ERRORS[code].says;
  const at = message.indexOf(says);
  const about = at > 0 ? message.slice(0, at).replace(/: $/, '') : '';
  const rest = at === -1 ? message : message.slice(at + says.length).trim();
  const detail = rest.replace(/^\((.*)\)$/s, '$1');
  return new AppError(code, {
    ...(about === '' ? {} : { about }),
    ...(detail === '' ? {} : { detail }),
    ...more,
  });
}

/** Text from elsewhere for a terminal, of bounded length. What is cut off shows. */
export function plain(text: string): string {
  const line = onOneLine(text);
  return line.length > MOST ? `${line.slice(0, MOST)}…` : line;
}

const MOST = 1_000;

/** The same, all of it. What cannot be seen is written out: without it, two names would look like one. */
export function onOneLine(text: string): string {
  return shown(text.replace(/\s*[\n\r\t]\s*/g, ' '));
}
