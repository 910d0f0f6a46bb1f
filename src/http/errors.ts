import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, type ErrorCode } from '../core/error-codes.ts';
import { AppError, type ErrorData, toAppError } from '../core/errors.ts';
import { validationDetail } from './request-input.ts';

/** The body of every error response. */
export interface ErrorBody extends ErrorData {
  readonly requestId: string;
}

const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  INVALID_REQUEST: 400,
  UNAUTHENTICATED: 401,
  EVENT_REFUSED: 401,
  SIGN_IN_REFUSED: 401,
  SESSION_ENDED: 401,
  FORBIDDEN: 403,
  ROLE_MISSING: 403,
  NOT_FOUND: 404,
  RECORD_MISSING: 404,
  NOT_HELD: 404,
  METHOD_NOT_ALLOWED: 405,
  RATE_LIMITED: 429,
  // The request is correct, but another service or the configuration of this service has a problem.
  AUDIT_TRUNCATED: 503,
  CLUSTER_FORBIDDEN: 503,
  CREDENTIAL_MISSING: 503,
  OUTSIDE_WINDOW: 409,
  INTERNAL: 500,
};

/**
 * Returns the HTTP status for an error code. A code without an entry in `STATUS` gets 503 if a retry may help, and 409
 * if a person must act first.
 */
function statusOf(code: ErrorCode): number {
  const { category } = ERRORS[code];
  return STATUS[code] ?? (category === 'retry' || category === 'wait' ? 503 : CONFLICT);
}

/** The status of an error that a person must fix first. */
const CONFLICT = 409;

export interface HttpError {
  readonly status: number;
  readonly error: AppError;
}

/**
 * Converts any error to a response. Does not use the messages of framework errors, because these messages may quote the
 * request.
 */
export function toHttpError(thrown: unknown): HttpError {
  if (thrown instanceof AppError)
    return { status: thrown.isRefusal ? CONFLICT : statusOf(thrown.code), error: thrown };
  const { code = '', statusCode = 0, validation, validationContext } = fieldsOf(thrown);
  if (validation !== undefined) return invalid(400, validationDetail(validation, validationContext), thrown);
  const frameworkError = FRAMEWORK_ERRORS[code];
  if (frameworkError !== undefined) return invalid(...frameworkError, thrown);
  // The client has disconnected. If one of our own connections breaks, the error has the same code, but no status of
  // the framework.
  if (code === 'ECONNRESET' && isClientFault(statusCode))
    return invalid(400, 'the connection ended before the body arrived', thrown);
  // Only errors of the framework and its parser have a status.
  const isMalformed = (code.startsWith('FST_') || thrown instanceof SyntaxError) && isClientFault(statusCode);
  return isMalformed
    ? invalid(statusCode, 'the request is malformed', thrown)
    : { status: 500, error: toAppError(thrown) };
}

/** Returns the error without its subject and its detail, which may name something that the caller must not see. */
export function withoutDetails({ code, retryAfterMs, requests, cause }: AppError): AppError {
  return new AppError(code, {
    cause,
    ...(requests && { requests }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

const FRAMEWORK_ERRORS: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  FST_ERR_BAD_URL: [400, 'the URL is malformed'],
  FST_ERR_MAX_PARAM_LENGTH: [414, 'a part of the URL is too long'],
  FST_ERR_CTP_INVALID_JSON_BODY: [400, 'the body is not JSON'],
  FST_ERR_CTP_EMPTY_JSON_BODY: [400, 'the body is empty'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [400, 'the length of the body differs from `Content-Length`'],
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'the body is larger than this route allows'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'the content type of the body must be application/json'],
  FST_ERR_CTP_INVALID_TYPE: [415, 'the content type of the body must be application/json'],
};

interface FrameworkFields {
  readonly code?: string;
  readonly statusCode?: number;
  readonly validation?: Parameters<typeof validationDetail>[0];
  readonly validationContext?: string;
}

function fieldsOf(thrown: unknown): FrameworkFields {
  return thrown instanceof Error ? (thrown as FrameworkFields) : {};
}

function isClientFault(status: number): boolean {
  return status >= 400 && status < 500;
}

function invalid(status: number, detail: string, cause: unknown): HttpError {
  return { status, error: new AppError('INVALID_REQUEST', { detail, cause }) };
}

/** @param statusOverride A status that replaces the status of the error. */
export function sendError(
  request: FastifyRequest,
  reply: FastifyReply,
  thrown: unknown,
  statusOverride?: number,
): FastifyReply {
  const { status: defaultStatus, error } = toHttpError(thrown);
  const status = statusOverride ?? defaultStatus;
  const body: ErrorBody = { ...error.toJSON(), requestId: request.id };
  reply.code(status).headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
  if (status === 401) reply.header('www-authenticate', challengeOf(request, error));
  if (error.retryAfterMs !== undefined)
    reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000))));
  // Close the connection. Otherwise the unread rest of the body would be parsed as the next request.
  if (isUnread(request)) reply.header('connection', 'close');
  return reply.type('application/json; charset=utf-8').send(body);
}

/**
 * Builds the challenge of a 401 response, which RFC 9110, section 11.6.1 requires. The challenge has a parameter
 * besides the scheme, because RFC 6750, section 3 requires one.
 */
function challengeOf({ headers: { authorization } }: FastifyRequest, { code }: AppError): string {
  if (code === 'EVENT_REFUSED') return 'Signature';
  const hasToken = /^bearer +\S/i.test(authorization ?? '');
  return `Bearer realm="secretbridge"${hasToken ? ', error="invalid_token"' : ''}`;
}

function isUnread({ raw: { complete, headers } }: FastifyRequest): boolean {
  return !complete && (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined);
}

/**
 * The reason phrases of RFC 9110 and RFC 6585. They are copied, because importing them from `node:http` would also load
 * Node's `fetch`.
 */
const PARSER_ERRORS: Readonly<Record<string, readonly [status: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers are larger than 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not arrive in time'],
};

/** Responds with 417. Node handles `100 Continue` itself, and no other expectation is supported. */
export function rejectExpectation(response: ServerResponse, requestId: string): void {
  const { headers, body } = closingResponse('the value of the `Expect` header is not supported', requestId);
  response.writeHead(417, headers).end(body);
}

/** Responds to a connection that sent no valid HTTP request. There is no request object, only the socket. */
export function answerUnparsable(error: { readonly code?: string }, socket: Socket, requestId: string): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] = PARSER_ERRORS[error.code ?? ''] ?? [
    '400 Bad Request',
    'the request is not valid HTTP',
  ];
  const { headers, body } = closingResponse(detail, requestId);
  const head = [`HTTP/1.1 ${status}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/**
 * Builds a response without the framework. The response closes its connection, so that nothing else is read from it.
 */
function closingResponse(
  detail: string,
  requestId: string,
): { readonly headers: Readonly<Record<string, string>>; readonly body: string } {
  const body = JSON.stringify({ ...new AppError('INVALID_REQUEST', { detail }).toJSON(), requestId });
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'x-request-id': requestId,
    connection: 'close',
  };
  return { headers, body };
}
