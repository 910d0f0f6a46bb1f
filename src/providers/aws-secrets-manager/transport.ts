import { readFile } from 'node:fs/promises';
import { getCACertificates } from 'node:tls';
import { Agent, request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import type { AwsConfig } from './config.ts';
import { AwsFailure, badAnswer } from './errors.ts';
import { fromNetwork } from './network.ts';

/** The largest answer that is read: twenty secrets of 64 KiB, with every byte escaped, are half of it. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Of an answer that is no success only the name of the error matters. */
const MAX_ERROR_BYTES = 64 * 1024;

/** How a service writes its answers: JSON 1.1 for Secrets Manager, the query protocol's XML for STS. */
export interface Format {
  readonly type: RegExp;
  /** Whether a text is one of its answers, whole. */
  isWhole(text: string): boolean;
  /** The name of the error in the text of an answer that is no success. */
  errorType(text: string): string | undefined;
}

/** What the SDK hands to its request handler, as far as we use it. */
export interface OutgoingRequest {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface IncomingAnswer {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array;
}

export interface Transport extends AsyncDisposable {
  /**
   * One request, one success: no redirect is followed.
   * @throws AwsFailure for every other status; AppError for what the connection did and for what is no answer of the
   * service; the signal's reason once it is aborted.
   */
  send(outgoing: OutgoingRequest, format: Format, signal: AbortSignal): Promise<IncomingAnswer>;
  /** How far the clock here was ahead of the server's at the last answer, milliseconds. */
  readonly skewMs: number | undefined;
}

/**
 * One connection pool for a store and its logins. Trusts `tls.caFile` beside the usual authorities.
 * @throws AppError CONFIG_INVALID when that file cannot be read.
 */
export async function createTransport({ tls }: AwsConfig, clock: Clock): Promise<Transport> {
  const ca = tls?.caFile === undefined ? undefined : await pem(tls.caFile);
  const agent = new Agent({
    allowH2: false, // undici 8 hangs after a GOAWAY
    keepAliveTimeout: 10_000,
    connect: {
      timeout: 10_000,
      rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not switch it off
      ...(ca === undefined
        ? {}
        : { ca: [...getCACertificates('default'), ...getCACertificates('extra'), ca] }),
    },
  });
  let skewMs: number | undefined;
  return {
    async send(outgoing, format, signal) {
      try {
        const {
          statusCode: status,
          headers,
          body,
        } = await request(addressOf(outgoing), {
          dispatcher: agent,
          method: 'POST',
          headers: withoutLength(outgoing.headers),
          body:
            typeof outgoing.body === 'string' || outgoing.body instanceof Uint8Array ? outgoing.body : null,
          signal,
        });
        const date = parseDate(one(headers.date));
        if (date !== undefined) skewMs = clock.now() - date;
        const isSuccess = status >= 200 && status < 300;
        const bytes = await readBounded(body, isSuccess);
        const type = one(headers['content-type']);
        if (isSuccess) {
          checkSuccess(format, type, bytes);
          return { statusCode: status, headers: { 'content-type': type }, body: bytes };
        }
        const name = one(headers['x-amzn-errortype']) || format.errorType(bytes.toString('utf8'));
        throw new AwsFailure(status, plainName(name), {
          retryAfterMs: parseRetryAfter(one(headers['retry-after']), clock),
          skewMs: date === undefined ? undefined : clock.now() - date,
        });
      } catch (thrown) {
        signal.throwIfAborted();
        throw thrown instanceof AppError || thrown instanceof AwsFailure ? thrown : fromNetwork(thrown);
      }
    },
    get skewMs() {
      return skewMs;
    },
    async [Symbol.asyncDispose]() {
      await agent.destroy();
    },
  };
}

async function pem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    throw new AppError('CONFIG_INVALID', {
      detail: `file ${path} cannot be read: ${String(cause.code)}`,
      cause,
    });
  }
}

function addressOf({ protocol, hostname, port, path }: OutgoingRequest): string {
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`;
}

/** undici counts for itself, and refuses a second count. */
function withoutLength(headers: OutgoingRequest['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length'),
  );
}

async function readBounded(body: AsyncIterable<Uint8Array>, isSuccess: boolean): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > MAX_BYTES) throw new AppError('TOO_LARGE', { detail: 'an answer of more than 16 MiB' });
    chunks.push(chunk);
    if (!isSuccess && size > MAX_ERROR_BYTES) break; // leaving the loop ends the connection
  }
  return Buffer.concat(chunks);
}

function checkSuccess(format: Format, type: string, bytes: Uint8Array): void {
  if (!format.type.test(type)) throw badAnswer('it is not marked as an answer of AWS');
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw badAnswer('it is not UTF-8');
    throw error;
  }
  if (!format.isWhole(text)) throw badAnswer('it is cut, or not an answer of AWS');
}

/** `com.amazonaws.secretsmanager#ThrottlingException:http://…` is `ThrottlingException`. */
function plainName(name: string | undefined): string | undefined {
  const plain = name?.replace(/^.*#/, '').replace(/[:,].*$/, '');
  return plain !== undefined && /^[A-Za-z][A-Za-z.]{0,99}$/.test(plain) ? plain : undefined;
}

function one(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? '';
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function parseRetryAfter(header: string, clock: Clock): number | undefined {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  const date = parseDate(header);
  return date === undefined ? undefined : Math.max(0, date - clock.now());
}

function parseDate(header: string): number | undefined {
  const time = Date.parse(header);
  return header === '' || Number.isNaN(time) ? undefined : time;
}
