import { Agent, request } from 'undici';
import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { parseObject } from '../../core/json.ts';
import { checkJsonBounds } from '../../core/json-bounds.ts';
import {
  badAnswer,
  decodeText,
  firstHeaderValue,
  parseDate,
  parseRetryAfter,
  readBounded,
} from '../answer.ts';
import { secureContextWithCa } from '../tls.ts';
import type { AwsConnection } from './config.ts';
import { AwsFailure, fromNetwork } from './errors.ts';

/**
 * The maximum response size. It is twice the size of the largest response: twenty secrets of 64 KiB in which JSON
 * escapes every byte.
 */
const MAX_BYTES = 16 * 1024 * 1024;
/** The maximum size of an error response. Only its error type is needed. */
const MAX_ERROR_BYTES = 64 * 1024;
/**
 * Matches the message of a denial by a KMS key. The name of a secret or parameter cannot match, because it contains
 * neither spaces nor colons.
 */
const KMS_DENIAL = /\bAccess to KMS\b|\bkms:[A-Z]|\bcustomer master key that\b/;

/** A response format: JSON 1.1 for Secrets Manager and Parameter Store, or the XML of the query protocol for STS. */
export interface Format {
  readonly type: RegExp;
  /** Whether a text is a complete response, and not a truncated one. */
  isWhole(text: string): boolean;
  /** Extracts the error type from an error response. */
  errorType(text: string): string | undefined;
}

/** https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html */
export const JSON_FORMAT: Format = {
  type: /^application\/(x-amz-json-1\.[01]|json)\s*(;|$)/i,
  isWhole: (text) => checkJsonBounds(text) === 'ok' && parseObject(text) !== undefined,
  errorType(text) {
    const body = parseObject(text);
    const name = body?.__type ?? body?.code;
    return typeof name === 'string' ? name : undefined;
  },
};

/** https://smithy.io/2.0/aws/protocols/aws-query-protocol.html */
export const XML_FORMAT: Format = {
  type: /^(text|application)\/xml\s*(;|$)/i,
  isWhole: (text) => /<\/\w+Response>\s*$/.test(text),
  errorType: (text) => /<Error>[\s\S]*?<Code>\s*([\w.]{1,100})\s*<\/Code>/.exec(text)?.[1],
};

/** The members of an SDK request that our transport uses. */
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
   * Sends a request and returns a successful response. Does not follow redirects.
   * @throws AwsFailure for a response with any other status.
   * @throws AppError for connection errors and malformed responses.
   * @throws The signal's reason once it is aborted.
   */
  send(outgoing: OutgoingRequest, format: Format, signal: AbortSignal): Promise<IncomingAnswer>;
  /**
   * The difference between our clock and the server's clock at the last response, in milliseconds. Positive if our
   * clock was ahead.
   */
  readonly skewMs: number | undefined;
}

/**
 * Creates one connection pool for a store and its logins. Trusts the authorities in `tls.caFile` in addition to the
 * default authorities.
 * @throws AppError CONFIG_INVALID if this file cannot be read or is not PEM.
 */
export async function createTransport(config: AwsConnection, clock: Clock): Promise<Transport> {
  const secureContext = await secureContextWithCa(config.tls?.caFile);
  const agent = new Agent({
    allowH2: false, // undici 8 hangs after a GOAWAY frame
    keepAliveTimeout: 10_000,
    connect: {
      timeout: 10_000,
      rejectUnauthorized: true, // NODE_TLS_REJECT_UNAUTHORIZED must not turn off this check.
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
        const date = parseDate(firstHeaderValue(headers.date));
        if (date !== undefined) skewMs = clock.now() - date;
        const isSuccess = status >= 200 && status < 300;
        const bytes = await readBounded(body, {
          maxBytes: MAX_BYTES,
          stopAfterBytes: isSuccess ? MAX_BYTES : MAX_ERROR_BYTES,
        });
        const type = firstHeaderValue(headers['content-type']);
        if (isSuccess) {
          checkSuccess(format, type, bytes);
          return { statusCode: status, headers: { 'content-type': type }, body: bytes };
        }
        const text = bytes.toString('utf8');
        const name = firstHeaderValue(headers['x-amzn-errortype']) || format.errorType(text);
        throw new AwsFailure(status, plainName(name), {
          retryAfterMs: parseRetryAfter(firstHeaderValue(headers['retry-after']), clock),
          skewMs: date === undefined ? undefined : clock.now() - date,
          isKmsDenial: KMS_DENIAL.test(text),
          region: config.region,
        });
      } catch (thrown) {
        signal.throwIfAborted();
        throw toKnownError(thrown, config);
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

function toKnownError(thrown: unknown, config: AwsConnection): AppError | AwsFailure {
  return thrown instanceof AppError || thrown instanceof AwsFailure ? thrown : fromNetwork(thrown, config);
}

function addressOf({ protocol, hostname, port, path }: OutgoingRequest): string {
  return `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`;
}

/** Removes the length header, because undici adds one and rejects a second one. */
function withoutLength(headers: OutgoingRequest['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'content-length'),
  );
}

function checkSuccess(format: Format, type: string, bytes: Uint8Array): void {
  if (!format.type.test(type)) throw badAnswer('its content type is not that of an AWS response');
  if (!format.isWhole(decodeText(bytes))) throw badAnswer('it is incomplete, or not an AWS response');
}

/** Shortens `com.amazonaws.secretsmanager#ThrottlingException:http://…` to `ThrottlingException`. */
function plainName(name: string | undefined): string | undefined {
  const plain = name?.replace(/^.*#/, '').replace(/[:,].*$/, '');
  return plain !== undefined && /^[A-Za-z][A-Za-z.]{0,99}$/.test(plain) ? plain : undefined;
}
