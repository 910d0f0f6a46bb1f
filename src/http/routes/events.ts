import type { FastifyInstance, FastifyRequest, RouteShorthandOptions } from 'fastify';
import type { ErrorCode } from '../../core/error-codes.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { SecretValue } from '../../core/secret-value.ts';
import type { EventGridIntake, RequestHead, WebhookIntake } from '../../events/hint.ts';
import { createAttemptLimiter } from '../access-control.ts';
import { networkOf } from '../connections.ts';
import type { Limits, RouteDeps } from '../deps.ts';
import { sendError, toHttpError, withoutDetails } from '../errors.ts';
import { describe } from '../openapi.ts';
import { createRefusalLog } from '../refusal-log.ts';

interface Named {
  Params: { readonly name: string };
}

const WEBHOOK = '/events/webhook/:name';
const EVENT_GRID = '/events/azure/:name';

/**
 * Adds the event routes. They have their own body parsers, because signatures cover the raw bytes and senders use
 * various content types.
 */
export async function addEventRoutes(app: FastifyInstance, deps: RouteDeps, limits: Limits): Promise<void> {
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_, body, done) => done(null, body));
    reportRefusals(scope, deps);
    const context: EventRouteContext = {
      ...deps,
      limits,
      limitAttempts: createAttemptGuard(deps),
      common: {
        config: {
          access: 'signed',
          rateLimit: {
            max: limits.requests,
            timeWindow: limits.windowMs,
            // Apply the rate limit to each event source separately, because behind an ingress all senders have the same
            // address.
            keyGenerator(request) {
              const intake = findIntake(deps, request as FastifyRequest<Named>);
              return `${networkOf(request.ip)} ${intake?.origin.name ?? ''}`;
            },
          },
        },
        validatorCompiler: () => () => true,
      },
    };
    addWebhookRoute(scope, context);
    addEventGridRoutes(scope, context);
  });
}

/** The dependencies and options that all event routes share. */
interface EventRouteContext extends RouteDeps {
  readonly limits: Limits;
  readonly limitAttempts: AttemptGuard;
  readonly common: Pick<RouteShorthandOptions, 'config' | 'validatorCompiler'>;
}

function findIntake(
  { events }: RouteDeps,
  { params, routeOptions }: FastifyRequest<Named>,
): WebhookIntake | EventGridIntake | undefined {
  try {
    return routeOptions.url === WEBHOOK ? events?.webhook(params.name) : events?.eventGrid(params.name);
  } catch (error) {
    // While the service starts, the event sources are not known yet. So treat every name as unknown.
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

type AttemptGuard = <T>(request: FastifyRequest<Named>, work: () => T | Promise<T>) => Promise<T>;

/**
 * Limits the failed attempts of each address, such as a wrong name or key. A valid request is always accepted, so an
 * attacker behind a shared proxy does not lock out other senders.
 */
function createAttemptGuard({ clock }: RouteDeps): AttemptGuard {
  const attempts = createAttemptLimiter(clock);
  return async (request, work) => {
    try {
      return await work();
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'EVENT_REFUSED' || error.code === 'NOT_FOUND') {
        const address = networkOf(request.ip);
        attempts.check(address);
        attempts.recordFailure(address);
      }
      throw thrown;
    }
  };
}

/** Counts and logs refused events, and answers them without details. */
function reportRefusals(scope: FastifyInstance, deps: RouteDeps): void {
  const logRefusal = createRefusalLog(deps.logger, deps.wake);
  scope.addHook<Named>('onError', async (request, _, thrown) => {
    const { status, error } = toHttpError(thrown);
    const intake = findIntake(deps, request);
    if (intake === undefined || error.code === 'INTERNAL') return;
    // A webhook is authenticated by a signature over the whole body. If the body could not be read, the sender is
    // unknown, so the event counts as refused.
    const isProved = intake.origin.kind !== 'webhook' || thrown instanceof AppError;
    const isMalformed = isProved && error.code === 'INVALID_REQUEST';
    deps.events?.onRefused?.(intake.origin, isMalformed ? 'malformed' : 'refused');
    logRefusal({ origin: intake.origin, status, error, address: request.ip });
  });
  scope.setErrorHandler((thrown, request, reply) => {
    const { status, error } = toHttpError(thrown);
    if (REQUEST_ERRORS.includes(error.code)) sendError(request, reply, thrown);
    // Omit the details: the sender might not be authenticated, and the subject of the error may be the path of a key
    // file.
    else sendError(request, reply, withoutDetails(error), status === 500 ? 500 : 503);
  });
}

function addWebhookRoute(
  scope: FastifyInstance,
  { events, limits, limitAttempts, common }: EventRouteContext,
): void {
  scope.post<Named>(
    WEBHOOK,
    {
      ...common,
      bodyLimit: limits.webhookBytes,
      schema: describe({
        id: 'postWebhook',
        tag: 'events',
        summary: 'Report that a key may have changed in a store. The request is signed.',
        parameters: { name: { type: 'string', description: 'The name in `events.webhooks`.' } },
        credentials: ['webhook'],
        body: WEBHOOK_BODY,
        status: 202,
        answer: 'Accepted',
        otherAnswers: FAILURES,
      }),
    },
    async (request, reply) => {
      const webhookRequest = { ...headOf(request), body: bodyOf(request), requestId: request.id };
      const { targets } = await limitAttempts(request, () =>
        (events?.webhook(request.params.name) ?? unknownIntake()).accept(webhookRequest),
      );
      return reply.code(202).send({ requestId: request.id, targets });
    },
  );
}

function addEventGridRoutes(
  scope: FastifyInstance,
  { events, limits, limitAttempts, common }: EventRouteContext,
): void {
  const eventGrid = ({ params }: FastifyRequest<Named>): EventGridIntake =>
    events?.eventGrid(params.name) ?? unknownIntake();
  const preParsing = async (request: FastifyRequest<Named>): Promise<void> =>
    limitAttempts(request, () => eventGrid(request).authenticate(headOf(request)));

  scope.post<Named>(
    EVENT_GRID,
    {
      ...common,
      bodyLimit: limits.eventGridBytes,
      preParsing,
      schema: describe({
        id: 'postEventGrid',
        tag: 'events',
        summary: 'Receive Azure Key Vault events, in the Event Grid schema or as CloudEvents 1.0.',
        parameters: EVENT_GRID_NAME,
        credentials: ['eventGrid', 'entra'],
        body: EVENT_GRID_BODY,
        status: 202,
        answer: 'Accepted',
        otherAnswers: { 200: 'Handshake', ...FAILURES },
      }),
    },
    async (request, reply) => {
      const accepted = eventGrid(request).accept(bodyOf(request), request.id);
      if ('validationCode' in accepted) return { validationResponse: accepted.validationCode };
      return reply.code(202).send({ requestId: request.id, targets: accepted.targets });
    },
  );

  // https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
  scope.options<Named>(
    EVENT_GRID,
    {
      ...common,
      preParsing,
      schema: describe({
        id: 'validateEventGrid',
        tag: 'events',
        summary: 'Answer the CloudEvents validation handshake.',
        parameters: EVENT_GRID_NAME,
        credentials: ['eventGrid', 'entra'],
        mediaTypes: [],
        otherAnswers: FAILURES,
      }),
    },
    async (request, reply) => {
      return reply
        .headers({
          'webhook-allowed-origin': requestOrigin(request),
          'webhook-allowed-rate': String(limits.requests),
        })
        .send();
    },
  );
}

/** Errors that can be shown completely to senders. Other errors concern the server and its dependencies. */
const REQUEST_ERRORS: readonly ErrorCode[] = [
  'EVENT_REFUSED',
  'INVALID_REQUEST',
  'NOT_FOUND',
  'RATE_LIMITED',
];

const EVENT_GRID_NAME = { name: { type: 'string', description: 'The name in `events.eventGrid`.' } };

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
    store: { type: 'string', description: 'A store that the webhook may report about.' },
    key: { type: 'string', description: 'The key in the store, as mappings name it.' },
  },
} as const;

const EVENT_GRID_BODY = { description: 'One event or a list of events.', type: ['object', 'array'] } as const;

function headOf({ headers, query }: FastifyRequest): RequestHead {
  const key: unknown = (query as Readonly<Record<string, unknown>>).key;
  return {
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value.join(',') : value;
    },
    key: typeof key === 'string' ? SecretValue.fromText(key) : undefined,
  };
}

/** Checks the format of the origin, because the response contains the origin. */
function requestOrigin(request: FastifyRequest): string {
  const origin = headOf(request).header('webhook-request-origin') ?? '';
  if (/^[\w.-]{1,253}$/.test(origin)) return origin;
  throw new AppError('INVALID_REQUEST', {
    detail: 'the header WebHook-Request-Origin is missing or malformed',
  });
}

function bodyOf({ body }: FastifyRequest): Buffer {
  return Buffer.isBuffer(body) ? body : Buffer.alloc(0);
}

function unknownIntake(): never {
  throw new AppError('NOT_FOUND', { subject: 'event intake' });
}
