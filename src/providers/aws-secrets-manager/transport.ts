import { Agent, request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { badAnswer, decodeText, firstOf, parseDate, parseRetryAfter, readBounded } from '../answer.ts';
import { trustAlso } from '../tls.ts';
import type { AwsConfig } from './config.ts';
import { AwsFailure } from './errors.ts';
import { fromNetwork } from './network.ts';

/** The largest answer that is read: twenty secrets of 64 KiB, with every byte escaped, are half of it. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Of an answer that is no success only the name of the error matters. */
const MAX_ERROR_BYTES = 64 * 1024;
/** The words of a denial by a KMS key; a name of a secret has neither blanks nor colons. */
const NAMES_KMS = /\bAccess to KMS\b|\bkms:[A-Z]/;

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
 * @throws AppError CONFIG_INVALID when that file cannot be read or is no PEM.
 */
export async function createTransport({ tls }: AwsConfig, clock: Clock): Promise<Transport> {
  const secureContext = await trustAlso(tls?.caFile);
  const agent = new Agent({
    allowH2: false, // undici 8 hangs after a GOAWAY
    keepAliveTimeout: 10_000,
    connect: {
      timeout: 10_000,
      rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not switch it off
      ...(secureContext === undefined ? {} : { secureContext }),
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
        const date = parseDate(firstOf(headers.date));
        if (date !== undefined) skewMs = clock.now() - date;
        const isSuccess = status >= 200 && status < 300;
        const bytes = await readBounded(body, {
          most: MAX_BYTES,
          enough: isSuccess ? MAX_BYTES : MAX_ERROR_BYTES,
        });
        const type = firstOf(headers['content-type']);
        if (isSuccess) {
          checkSuccess(format, type, bytes);
          return { statusCode: status, headers: { 'content-type': type }, body: bytes };
        }
        const text = bytes.toString('utf8');
        const name = firstOf(headers['x-amzn-errortype']) || format.errorType(text);
        throw new AwsFailure(status, plainName(name), {
          retryAfterMs: parseRetryAfter(firstOf(headers['retry-after']), clock),
          skewMs: date === undefined ? undefined : clock.now() - date,
          isOfKey: NAMES_KMS.test(text),
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

function addressOf({ protocol, hostname, port, path }: OutgoingRequest): string {
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`;
}

/** undici counts for itself, and refuses a second count. */
function withoutLength(headers: OutgoingRequest['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length'),
  );
}

function checkSuccess(format: Format, type: string, bytes: Uint8Array): void {
  if (!format.type.test(type)) throw badAnswer('it is not marked as an answer of AWS');
  if (!format.isWhole(decodeText(bytes))) throw badAnswer('it is cut, or not an answer of AWS');
}

/** `com.amazonaws.secretsmanager#ThrottlingException:http://…` is `ThrottlingException`. */
function plainName(name: string | undefined): string | undefined {
  const plain = name?.replace(/^.*#/, '').replace(/[:,].*$/, '');
  return plain !== undefined && /^[A-Za-z][A-Za-z.]{0,99}$/.test(plain) ? plain : undefined;
}
