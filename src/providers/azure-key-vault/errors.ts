import { AppError } from '../../core/errors.ts';
import { member, textOf } from '../../core/json.ts';
import { badAnswer } from '../answer.ts';
import { type Answer, jsonOf } from './transport.ts';

/**
 * An error response of Key Vault. The caller of the request interprets it, because the meaning of a 404 depends on the
 * request.
 */
export class Refusal extends Error {
  readonly status: number;
  /**
   * The member `error.code` of the response. Undefined if the response does not come from Key Vault, but for example
   * from a proxy.
   */
  readonly code: string | undefined;
  /** The member `error.innererror.code` of the response. */
  readonly inner: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(answer: Answer) {
    super(`status ${answer.status}`);
    this.name = 'Refusal';
    const error = member(jsonOf(answer), 'error');
    this.status = answer.status;
    this.code = textOf(member(error, 'code'));
    this.inner = textOf(member(error, 'innererror', 'code'));
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/** Does not match the codes for a missing vault or resource, `VaultNotFound` and `ResourceNotFound`. */
const OBJECT_NOT_FOUND = /^(Secret|Key|Certificate)NotFound$/;

/** Whether the vault reports that the object does not exist. Any other 404 proves nothing. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Refusal && error.status === 404 && OBJECT_NOT_FOUND.test(error.code ?? '');
}

/** Explains each inner code of a 403. */
const NOT_ALLOWED: Readonly<Record<string, string>> = {
  ForbiddenByFirewall: 'the firewall of the vault blocks our address',
  ForbiddenByConnection: 'the vault does not accept connections from the public network',
  ForbiddenByRbac: 'no role assignment allows it',
  ForbiddenByPolicy: 'no access policy allows it',
  AccessDenied: 'no access policy allows it',
};

/**
 * Converts an error response. The status and the codes decide, never the message.
 * https://learn.microsoft.com/azure/key-vault/general/rest-error-codes
 */
export function fromRefusal(refusal: Refusal): AppError {
  const { status, code, inner = '', retryAfterMs } = refusal;
  const wait = retryAfterMs === undefined ? {} : { retryAfterMs };
  if (status >= 300 && status < 400) return badAnswer('it sent a redirect, and redirects are not followed');
  if (status === 401) return new AppError('AUTH_FAILED', { detail: 'the vault does not accept the token' });
  if (status === 403) return forbidden(code, inner);
  if (status === 404 && code !== undefined) return badAnswer('status 404; does the vault still exist?');
  if (status === 409) return conflict(inner);
  if (status === 429) return new AppError('THROTTLED', wait);
  if (status === 408 || status >= 500) {
    return new AppError('STORE_UNAVAILABLE', { detail: `status ${status}`, ...wait });
  }
  return badAnswer(code === undefined ? `status ${status}, not from Key Vault` : `status ${status}`);
}

function forbidden(code: string | undefined, inner: string): AppError {
  if (/^(Secret|Key|Certificate)Disabled$/.test(inner)) return new AppError('SOURCE_DISABLED');
  const detail = code === undefined ? 'status 403, not from Key Vault' : NOT_ALLOWED[inner];
  return new AppError('ACCESS_DENIED', detail === undefined ? {} : { detail });
}

function conflict(inner: string): AppError {
  if (inner === 'ObjectIsDeletedButRecoverable') return new AppError('SOURCE_DELETED');
  return new AppError('STORE_UNAVAILABLE', { detail: 'it is being deleted or recovered (status 409)' });
}
