import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { wakeLater } from '../../core/wake.ts';
import type { EventGridIntake, PostHead, WebhookIntake } from '../../events/posted.ts';
import { networkOf } from '../address.ts';
import type { RouteDeps } from '../deps.ts';
import { sendError, toHttpError } from '../errors.ts';
import { createGuesses } from '../guesses.ts';
import type { Limits } from '../limits.ts';
import { describe } from '../openapi.ts';
import { createRefusalLog } from '../refusal-log.ts';

interface Named {
  Params: { readonly name: string };
}

const WEBHOOK = '/events/webhook/:name';
const EVENT_GRID = '/events/azure/:name';

/** Their bodies are signed as bytes, and come in types of their own: so they have parsers of their own. */
export async function addEventRoutes(app: FastifyInstance, deps: RouteDeps, limits: Limits): Promise<void> {
  const { events, clock, logger, wake = wakeLater } = deps;
  const guesses = createGuesses(clock);
  const logRefusal = createRefusalLog(logger, wake);
  // For each intake by itself: behind an ingress all senders have one address.
  const keyGenerator = (request: FastifyRequest): string => {
    const known = knownIntake(request as FastifyRequest<Named>);
    return `${networkOf(request.ip)} ${known?.origin.name ?? ''}`;
  };
  const rateLimit = { max: limits.requests, timeWindow: limits.windowMs, keyGenerator };
  const common = { config: { access: 'signed', rateLimit }, validatorCompiler: () => () => true } as const;

  const knownIntake = ({ params, routeOptions }: FastifyRequest<Named>) => {
    try {
      return routeOptions.url === WEBHOOK ? events?.webhook(params.name) : events?.eventGrid(params.name);
    } catch (error) {
      // As long as the service starts, none is known.
      if (error instanceof AppError) return undefined;
      throw error;
    }
  };
  const webhook = ({ params }: FastifyRequest<Named>): WebhookIntake =>
    events?.webhook(params.name) ?? missing();
  const eventGrid = ({ params }: FastifyRequest<Named>): EventGridIntake =>
    events?.eventGrid(params.name) ?? missing();

  /**
   * Names and keys may be guessed at so often from one address. A right one is taken from any: whoever forges them
   * behind a proxy must not shut out the others.
   */
  async function counted<T>(request: FastifyRequest<Named>, work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'EVENT_REFUSED' || error.code === 'NOT_FOUND') {
        const address = networkOf(request.ip);
        guesses.check(address);
        guesses.note(address);
      }
      throw thrown;
    }
  }

  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
    scope.addHook<Named>('onError', async (request, _, thrown) => {
      const { status, error } = toHttpError(thrown);
      const known = knownIntake(request);
      if (known === undefined || error.code === 'INTERNAL') return;
      // The proof of a webhook is over its body: one that was not taken whole is not proved.
      const isProved = known.origin.kind !== 'webhook' || thrown instanceof AppError;
      const isMalformed = isProved && error.code === 'INVALID_REQUEST';
      events?.onRefused?.(known.origin, isMalformed ? 'malformed' : 'refused');
      logRefusal({ origin: known.origin, status, error, address: request.ip });
    });
    scope.setErrorHandler((thrown, request, reply) => {
      const { status, error } = toHttpError(thrown);
      if (OF_THE_REQUEST.includes(error.code)) sendError(request, reply, thrown);
      // Who asks is not known, and what it is about may be the path of a key.
      else sendError(request, reply, bare(error), status === 500 ? 500 : 503);
    });

    scope.post<Named>(
      WEBHOOK,
      {
        ...common,
        bodyLimit: limits.webhookBytes,
        schema: describe({
          id: 'postWebhook',
          tag: 'events',
          summary: 'Something may have changed in a store. Signed.',
          parameters: { name: { type: 'string', description: 'The name in `events.webhooks`.' } },
          proofs: ['webhook'],
          body: WEBHOOK_BODY,
          status: 202,
          answer: 'Accepted',
          also: FAILURES,
        }),
      },
      async (request, reply) => {
        const post = { ...headOf(request), body: bodyOf(request), requestId: request.id };
        const { targets } = await counted(request, () => webhook(request).accept(post));
        return reply.code(202).send({ requestId: request.id, targets });
      },
    );

    const parameters = { name: { type: 'string', description: 'The name in `events.eventGrid`.' } };
    const admit = async (request: FastifyRequest<Named>): Promise<void> =>
      counted(request, () => eventGrid(request).admit(headOf(request)));

    scope.post<Named>(
      EVENT_GRID,
      {
        ...common,
        bodyLimit: limits.eventGridBytes,
        preParsing: admit,
        schema: describe({
          id: 'postEventGrid',
          tag: 'events',
          summary: 'Events of Azure Key Vault, in the Event Grid schema or as CloudEvents 1.0.',
          parameters,
          proofs: ['eventGrid', 'entra'],
          body: EVENT_GRID_BODY,
          status: 202,
          answer: 'Accepted',
          also: { 200: 'Handshake', ...FAILURES },
        }),
      },
      async (request, reply) => {
        const taken = eventGrid(request).accept(bodyOf(request), request.id);
        if ('validationCode' in taken) return { validationResponse: taken.validationCode };
        return reply.code(202).send({ requestId: request.id, targets: taken.targets });
      },
    );

    // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
    scope.options<Named>(
      EVENT_GRID,
      {
        ...common,
        preParsing: admit,
        schema: describe({
          id: 'validateEventGrid',
          tag: 'events',
          summary: 'Whether events are wanted, as CloudEvents asks it.',
          parameters,
          proofs: ['eventGrid', 'entra'],
          types: [],
          also: FAILURES,
        }),
      },
      async (request, reply) => {
        const origin = headOf(request).header('webhook-request-origin') ?? '';
        // It is sent back as it came, so it must look like one.
        if (!/^[\w.-]{1,253}$/.test(origin))
          throw new AppError('INVALID_REQUEST', { detail: 'there is no valid WebHook-Request-Origin' });
        return reply
          .headers({ 'webhook-allowed-origin': origin, 'webhook-allowed-rate': String(limits.requests) })
          .send();
      },
    );
  });
}

/** What may be told of in full; all else is a matter between us and others. */
const OF_THE_REQUEST: readonly ErrorCode[] = [
  'EVENT_REFUSED',
  'INVALID_REQUEST',
  'NOT_FOUND',
  'RATE_LIMITED',
];

function bare({ code, retryAfterMs, cause }: AppError): AppError {
  return new AppError(code, { cause, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

const FAILURES = {
  400: 'Error',
  401: 'Error',
  404: 'Error',
  413: 'Error',
  429: 'Error',
  503: 'Error',
} as const;

const WEBHOOK_BODY = {
  type: 'object',
  additionalProperties: false,
  required: ['store', 'key'],
  properties: {
    store: { type: 'string', description: 'One of the stores that the webhook may speak about.' },
    key: { type: 'string', description: 'The key in it, as mappings have it.' },
  },
} as const;

const EVENT_GRID_BODY = { description: 'One event or a list.', type: ['object', 'array'] } as const;

function headOf({ headers, query }: FastifyRequest): PostHead {
  const given: unknown = (query as Readonly<Record<string, unknown>>).key;
  return {
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value.join(',') : value;
    },
    key: typeof given === 'string' ? SecretValue.fromText(given) : undefined,
  };
}

function bodyOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

function missing(): never {
  throw new AppError('NOT_FOUND', { about: 'event intake' });
}
