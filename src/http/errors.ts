import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ERRORS, type ErrorCode } from '../core/error-codes.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { validationDetail } from './validation-detail.ts';

/** Every answer that is no success. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  readonly requestId: string;
}

const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  INVALID_REQUEST: 400,
  UNAUTHENTICATED: 401,
  EVENT_REFUSED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  RECORD_MISSING: 404,
  NOT_HELD: 404,
  METHOD_NOT_ALLOWED: 405,
  RATE_LIMITED: 429,
  // What is wrong lies between us and another service, not in the request.
  AUDIT_TRUNCATED: 503,
  CLUSTER_FORBIDDEN: 503,
  CREDENTIAL_MISSING: 503,
  INTERNAL: 500,
};

/** By the remedy where nothing else is said: what heals is 503; what a person must mend first, 409. */
function statusOf(code: ErrorCode): number {
  const { remedy } = ERRORS[code];
  return STATUS[code] ?? (remedy === 'retry' || remedy === 'wait' ? 503 : REFUSED);
}

/** Not before a person has mended something. */
const REFUSED = 409;

export interface HttpError {
  readonly status: number;
  readonly error: AppError;
}

/** Anything thrown, as an answer. Of what the framework says, its own code alone is understood; its text may quote. */
export function toHttpError(thrown: unknown): HttpError {
  if (thrown instanceof AppError)
    return { status: thrown.refused ? REFUSED : statusOf(thrown.code), error: thrown };
  const { code = '', statusCode = 0, validation, validationContext } = fieldsOf(thrown);
  if (validation !== undefined) return invalid(400, validationDetail(validation, validationContext), thrown);
  const known = FRAMEWORK[code];
  if (known !== undefined) return invalid(...known, thrown);
  // Whoever asked has left, and the status of the framework tells it from a connection of ours that broke.
  if (code === 'ECONNRESET' && isClientFault(statusCode))
    return invalid(400, 'its body did not come', thrown);
  // The framework and its parser put a status on what they refuse, and nobody else does.
  const refused = (code.startsWith('FST_') || thrown instanceof SyntaxError) && isClientFault(statusCode);
  return refused
    ? invalid(statusCode, 'the request is malformed', thrown)
    : { status: 500, error: toAppError(thrown) };
}

const FRAMEWORK: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  FST_ERR_BAD_URL: [400, 'the address is malformed'],
  FST_ERR_MAX_PARAM_LENGTH: [414, 'a part of the address is too long'],
  FST_ERR_CTP_INVALID_JSON_BODY: [400, 'the body is not JSON'],
  FST_ERR_CTP_EMPTY_JSON_BODY: [400, 'the body is empty'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [400, 'the body is not as long as its header says'],
  FST_ERR_CTP_BODY_TOO_LARGE: [413, 'the body is larger than this address takes'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [415, 'the body must be of the type application/json'],
  FST_ERR_CTP_INVALID_TYPE: [415, 'the body must be of the type application/json'],
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

/** @param as The status, where the error's own is not meant. */
export function sendError(
  request: FastifyRequest,
  reply: FastifyReply,
  thrown: unknown,
  as?: number,
): FastifyReply {
  const { status: own, error } = toHttpError(thrown);
  const status = as ?? own;
  const body: ErrorBody = { ...error.toJSON(), requestId: request.id };
  reply.code(status).headers({ 'x-request-id': request.id, 'cache-control': 'no-store' });
  if (status === 401) reply.header('www-authenticate', challengeOf(request, error));
  if (error.retryAfterMs !== undefined)
    reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterMs / 1_000))));
  // The rest of a body that nobody waits for must not be taken for the next request, nor be waited for.
  if (isUnread(request)) reply.header('connection', 'close');
  return reply.type('application/json; charset=utf-8').send(body);
}

/** RFC 9110, 11.6.1: such an answer must say how to log in; RFC 6750, 3: with more than the scheme alone. */
function challengeOf({ headers: { authorization } }: FastifyRequest, { code }: AppError): string {
  if (code === 'EVENT_REFUSED') return 'Signature';
  const hasToken = /^bearer +\S/i.test(authorization ?? '');
  return `Bearer realm="secretbridge"${hasToken ? ', error="invalid_token"' : ''}`;
}

function isUnread({ raw: { complete, headers } }: FastifyRequest): boolean {
  return !complete && (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined);
}

/** With the texts of RFC 9110 and 6585: to import them from `node:http` loads all of Node's `fetch`. */
const BROKEN: Readonly<Record<string, readonly [status: string, detail: string]>> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers are larger than 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'it did not arrive in time'],
};

/** A body that comes only after `100 Continue` is asked for by Node itself; nothing else can be expected of us. */
export function answerUnexpected(response: ServerResponse, requestId: string): void {
  const { headers, body } = lastAnswer('the header `Expect` asks for what there is not', requestId);
  response.writeHead(417, headers).end(body);
}

/** Answers what never became a request: there is no reply yet, only the connection. */
export function answerBroken(error: { readonly code?: string }, socket: Socket, requestId: string): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] = BROKEN[error.code ?? ''] ?? ['400 Bad Request', 'it is no HTTP'];
  const { headers, body } = lastAnswer(detail, requestId);
  const head = [`HTTP/1.1 ${status}`, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** Without the framework, and the last of its connection: what follows on it is not read. */
function lastAnswer(
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
