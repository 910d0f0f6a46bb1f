import { posix } from 'node:path';
import { ERRORS, type ErrorCategory, type ErrorCode, type ErrorKind } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import { type ExitCode, exitCode, exitCodeOf } from '../exit.ts';
import { ERROR_DETAILS } from './details.ts';

// The texts about error codes, for `explain-error` and `docs/reference/errors.md`.

export type ErrorGroup = ErrorKind['group'];

export const ERROR_GROUPS: Readonly<Record<ErrorGroup, { readonly title: string; readonly intro: string }>> =
  {
    store: { title: 'From a store', intro: 'A store refused a request, failed or could not be reached.' },
    data: {
      title: 'From the data',
      intro: 'The values cannot become a Secret that may be written.',
    },
    cluster: {
      title: 'From the cluster',
      intro: 'The API server, or the folder of a directory cluster, refused a request or failed.',
    },
    ours: {
      title: 'From secretbridge itself',
      intro: 'The configuration, the audit log, the queue, and rules that hold back changes.',
    },
    http: { title: 'From the HTTP API', intro: 'A request is wrong, or the API cannot listen.' },
  };

const RESOLUTIONS: Readonly<Record<ErrorCategory, string>> = {
  retry: 'It can be temporary: run the command again.',
  wait: 'It is temporary: run the command again later.',
  'fix-config': 'A person must act: correct the configuration or the data.',
  'fix-access': 'A person must act: correct access or credentials.',
  'report-bug': 'It can be temporary, but it is a bug in secretbridge.',
};

/** The texts about error codes that `explain-error` prints and `docs/reference/errors.md` contains. */
export interface ErrorPage {
  readonly code: ErrorCode;
  readonly group: ErrorGroup;
  /** The message as a complete sentence. */
  readonly message: string;
  readonly remedy: string;
  readonly details?: string;
  /** States whether the error is temporary, or what a person must do. */
  readonly resolution: string;
  /** The exit code of a command that ends with this error. */
  readonly exitCode: ExitCode;
  /** The exit code of a run in which one target fails with this error. */
  readonly targetExitCode: ExitCode;
}

export function errorPageOf(code: ErrorCode): ErrorPage {
  const { group, category, message, remedy }: ErrorKind = ERRORS[code];
  const details = ERROR_DETAILS[code];
  return {
    code,
    group,
    message: `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
    remedy,
    ...(details === undefined ? {} : { details }),
    resolution: RESOLUTIONS[category],
    exitCode: exitCodeOf(new AppError(code)),
    targetExitCode: exitCode([code]),
  };
}

/** Returns the pages of all codes, in the order of the documentation. */
export function allErrorPages(): readonly ErrorPage[] {
  const pages = (Object.keys(ERRORS) as ErrorCode[]).map(errorPageOf);
  return (Object.keys(ERROR_GROUPS) as ErrorGroup[]).flatMap((group) =>
    pages.filter((page) => page.group === group),
  );
}

export function exitCodeText({
  exitCode: whole,
  targetExitCode: part,
}: Pick<ErrorPage, 'exitCode' | 'targetExitCode'>): string {
  return whole === part
    ? `Exit code ${whole}.`
    : `Exit code ${whole}. If only a target of a run fails: ${part}.`;
}

/** Returns the link to a code's section in the documentation, relative to the root of the package. */
export function errorPagePath(code: ErrorCode): string {
  return `${REFERENCE}/errors.md#${code.toLowerCase()}`;
}

const REFERENCE = 'docs/reference';

/** Converts Markdown for a terminal. A link is replaced by its text and its path. */
export function withoutLinks(markdown: string): string {
  return markdown.replace(
    /\[([^\]]+)\]\(([^)#]+)(#[^)]*)?\)/g,
    (_, text: string, path: string) => `${text} (${posix.join(REFERENCE, path)})`,
  );
}
