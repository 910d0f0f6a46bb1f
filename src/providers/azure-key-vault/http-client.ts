import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import type { Operation, ProviderDeps, Settled } from '../provider.ts';
import { thrownError } from '../results.ts';
import { fromRefusal, isNotFound, Refusal } from './errors.ts';
import {
  type Answer,
  type HttpClient,
  type HttpRequest,
  type HttpResponse,
  jsonOf,
  type Transport,
  toResponse,
} from './transport.ts';

/**
 * Creates the HTTP client for the Azure SDK clients. It applies the store's limits and sends requests only to the
 * vault. It passes a 401 to the SDK client, which then logs in. It throws any other error response, because the SDK's
 * own error would quote the body.
 */
export function createHttpClient(
  origin: string,
  { limit }: ProviderDeps,
  transport: Transport,
  onAnswer: (answer: Answer) => void = () => undefined,
): HttpClient {
  return {
    sendRequest(request) {
      const signal = request.abortSignal instanceof AbortSignal ? request.abortSignal : undefined;
      return limit(
        async (limited) => {
          if (new URL(request.url).origin !== origin) throw badAnswer('its next page is on a different host');
          const answer = await transport.send(request, limited);
          onAnswer(answer);
          if (answer.status !== 401) check(answer);
          return toResponse(request, answer);
        },
        signal,
        operationOf(request.url),
        (ended) => failureOf(ended, request),
      );
    },
  };
}

function check(answer: Answer): void {
  if (answer.status < 200 || answer.status > 299) throw new Refusal(answer);
  if (!answer.isJson) throw badAnswer('its content type is not JSON');
  if (jsonOf(answer) === undefined) throw badAnswer('it is not a JSON object');
}

/**
 * Returns the kind of a request: `/secrets` is a list, `/secrets/name/version` is a value, and `/deletedsecrets/name`
 * describes a deleted secret.
 */
function operationOf(url: string): Operation {
  const [, collection = '', name = ''] = new URL(url).pathname.split('/');
  if (collection.startsWith('deleted')) return 'describe';
  return name === '' ? 'list' : 'read';
}

/** A 401 for a request without a token is the vault's challenge, and not a failure. */
function failureOf(ended: Settled<HttpResponse>, request: HttpRequest): AppError | undefined {
  if (!('error' in ended)) {
    const isRefused = ended.value.status === 401 && request.headers.has('authorization');
    return isRefused ? new AppError('AUTH_FAILED') : undefined;
  }
  if (!(ended.error instanceof Refusal)) return thrownError(ended);
  return isNotFound(ended.error) ? undefined : fromRefusal(ended.error);
}
