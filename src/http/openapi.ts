import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import type { Role } from '../core/roles.ts';
import { SCHEMAS, type SchemaName } from './schemas.ts';

declare module 'fastify' {
  interface FastifySchema {
    /** Omits the route from the OpenAPI document. */
    hide?: boolean;
  }
}

type JsonSchema = Readonly<Record<string, unknown>>;

export interface Description {
  /** The `operationId`. */
  readonly id: string;
  readonly tag:
    | 'probes'
    | 'service'
    | 'mappings'
    | 'held'
    | 'approvals'
    | 'audit'
    | 'changes'
    | 'events'
    | 'sign-in';
  readonly summary: string;
  /** The required role. Undefined if the route needs no token. */
  readonly role?: Role;
  readonly query?: JsonSchema;
  readonly parameters?: Readonly<Record<string, JsonSchema>>;
  readonly body?: JsonSchema;
  /** The ways to authenticate without a token. A request needs only one of them. */
  readonly credentials?: readonly (keyof typeof EVENT_CREDENTIALS)[];
  /** The status of a successful response. Default: 200. */
  readonly status?: 200 | 202 | 204 | 303;
  /** The schema of a JSON response. */
  readonly answer?: SchemaName;
  /** The media types of a response that is not JSON. */
  readonly mediaTypes?: readonly string[];
  readonly otherAnswers?: Readonly<Record<number, SchemaName>>;
}

/** The authentication of event routes, which do not use tokens. */
const EVENT_CREDENTIALS = {
  webhook: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Secretbridge-Signature',
    description: '`t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`',
  },
  eventGrid: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Secretbridge-Key',
    description: 'The key of the subscription. It may also be sent as the query parameter `key`.',
  },
  entra: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A Microsoft Entra token, when the subscription is configured with `entra`.',
  },
} as const;

/**
 * The schema of a route without query parameters. Unknown parameters are rejected. Otherwise a token in the URL or a
 * mistyped filter would stay unnoticed.
 */
export const NO_QUERY = { type: 'object', additionalProperties: false, properties: {} } as const;

/** Builds the schema of a route. Fastify validates requests against it, and the OpenAPI document contains it. */
export function describe(description: Description): FastifySchema {
  const {
    id,
    tag,
    summary,
    role,
    query,
    parameters,
    body,
    credentials,
    status = 200,
    answer,
    mediaTypes,
    otherAnswers = {},
  } = description;
  const denied = { 401: 'Error', 403: 'Error' } as const;
  const others: Readonly<Record<number, SchemaName>> = {
    ...(query === undefined ? {} : ({ 400: 'Error' } as const)),
    ...(role === undefined ? {} : denied),
    ...otherAnswers,
  };
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(role === undefined ? {} : { description: `Requires the role ${role}.`, security: [{ bearer: [] }] }),
    ...(credentials === undefined ? {} : { security: credentials.map((name) => ({ [name]: [] })) }),
    ...(query === undefined ? {} : { querystring: query }),
    ...(body === undefined ? {} : { body }),
    ...(parameters === undefined
      ? {}
      : { params: { type: 'object', required: Object.keys(parameters), properties: parameters } }),
    response: {
      [status]: success(answer, mediaTypes),
      ...Object.fromEntries(Object.entries(others).map(([status, name]) => [status, reference(name)])),
      // All other errors, such as a rate limit, use the common error schema.
      default: reference('Error'),
    },
  };
}

function success(answer: SchemaName | undefined, mediaTypes: readonly string[] | undefined): JsonSchema {
  if (answer !== undefined) return reference(answer);
  const description = 'Done.';
  if (mediaTypes === undefined) return { description, type: 'object' };
  // An empty list of media types means an empty body.
  if (mediaTypes.length === 0) return { description, type: 'null' };
  return {
    description,
    content: Object.fromEntries(mediaTypes.map((type) => [type, { schema: TEXT_SCHEMA }])),
  };
}

const TEXT_SCHEMA = { type: 'string' } as const;

function reference(name: SchemaName): JsonSchema {
  return { $ref: `${name}#` };
}

/** Call this before the routes are added. */
export async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'secretbridge',
        version,
        description: 'The API of a running secretbridge service. Responses never contain secret values.',
      },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, ...EVENT_CREDENTIALS } },
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject;
      for (const path of Object.values(document.openapiObject.paths ?? {}))
        setBodyRequired(path?.post?.requestBody as RequestBody | undefined);
      return document.openapiObject;
    },
    refResolver: {
      buildLocalReference: ({ $id }, _, __, index) => (typeof $id === 'string' ? $id : `def-${index}`),
    },
  });
  for (const [name, schema] of Object.entries(SCHEMAS)) app.addSchema({ $id: name, ...schema });
  // Response schemas are only documentation. They must not remove fields that are not documented yet.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

interface RequestBody {
  required?: boolean;
  readonly content: Readonly<Record<string, { readonly schema?: { readonly type?: unknown } }>>;
}

/**
 * Sets `required` of a request body to false if the body may be `null`, because such a body may also be omitted. The
 * plugin always sets `required` to true.
 */
function setBodyRequired(body: RequestBody | undefined): void {
  if (body === undefined) return;
  const types = Object.values(body.content).flatMap(({ schema }) => schema?.type);
  body.required = !types.includes('null');
}
