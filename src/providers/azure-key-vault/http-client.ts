import { badAnswer } from '../answer.ts';
import type { ProviderDeps } from '../provider.ts';
import { type Answer, jsonOf } from './answer.ts';
import { Refusal } from './errors.ts';
import { type HttpClient, type Transport, toResponse } from './transport.ts';

/**
 * What the vendor's clients send their requests with: each within the store's limits, to the vault alone. 401 goes
 * back to the client, which logs in; any other answer that is no success ends the operation here, before the client
 * makes an error of it that quotes the body.
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
      return limit(async (limited) => {
        if (new URL(request.url).origin !== origin) throw badAnswer('its next page is on another host');
        const answer = await transport.send(request, limited);
        onAnswer(answer);
        if (answer.status !== 401) check(answer);
        return toResponse(request, answer);
      }, signal);
    },
  };
}

function check(answer: Answer): void {
  if (answer.status < 200 || answer.status > 299) throw new Refusal(answer);
  if (!answer.isJson) throw badAnswer('it is not marked as JSON');
  if (jsonOf(answer) === undefined) throw badAnswer('it is not a JSON object');
}
