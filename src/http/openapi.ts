import swagger from '@fastify/swagger';
import type { FastifyInstance, FastifySchema } from 'fastify';
import type { Role } from './identity.ts';
import { SCHEMAS, type SchemaName } from './schemas.ts';

declare module 'fastify' {
  interface FastifySchema {
    /** Not part of the description. */
    hide?: boolean;
  }
}

type JsonSchema = Readonly<Record<string, unknown>>;

export interface Description {
  /** `operationId`. */
  readonly id: string;
  readonly tag: 'probes' | 'service' | 'mappings' | 'held' | 'audit' | 'events';
  readonly summary: string;
  /** Left out: needs no token. */
  readonly role?: Role;
  readonly query?: JsonSchema;
  readonly parameters?: Readonly<Record<string, JsonSchema>>;
  readonly body?: JsonSchema;
  /** How the request proves itself, where it is not by a token of ours: by one of these. */
  readonly proofs?: readonly (keyof typeof PROOFS)[];
  /** Of a success; 200 unless it is said. */
  readonly status?: 200 | 202;
  /** What a success holds, where that is JSON that a schema describes. */
  readonly answer?: SchemaName;
  /** The types of a success that is no JSON. */
  readonly types?: readonly string[];
  readonly also?: Readonly<Record<number, SchemaName>>;
}

/** What the events carry in the place of a token. */
const PROOFS = {
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
    description: 'The key of the subscription; also as the parameter `key` of the address.',
  },
  entra: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A token of Microsoft Entra, where the subscription is configured with `entra`.',
  },
} as const;

/** For a route that takes no parameters: a token in the address must not pass unnoticed, nor a filter be ignored. */
export const NO_QUERY = { type: 'object', additionalProperties: false, properties: {} } as const;

/** What Fastify checks a request against, and what the description of the API says. */
export function describe(description: Description): FastifySchema {
  const {
    id,
    tag,
    summary,
    role,
    query,
    parameters,
    body,
    proofs,
    status = 200,
    answer,
    types,
    also = {},
  } = description;
  const denied = { 401: 'Error', 403: 'Error' } as const;
  const others: Readonly<Record<number, SchemaName>> = {
    ...(query === undefined ? {} : ({ 400: 'Error' } as const)),
    ...(role === undefined ? {} : denied),
    ...also,
  };
  return {
    operationId: id,
    tags: [tag],
    summary,
    ...(role === undefined ? {} : { description: `Needs the role ${role}.`, security: [{ bearer: [] }] }),
    ...(proofs === undefined ? {} : { security: proofs.map((proof) => ({ [proof]: [] })) }),
    ...(query === undefined ? {} : { querystring: query }),
    ...(body === undefined ? {} : { body }),
    ...(parameters === undefined
      ? {}
      : { params: { type: 'object', required: Object.keys(parameters), properties: parameters } }),
    response: {
      [status]: success(answer, types),
      ...Object.fromEntries(Object.entries(others).map(([status, name]) => [status, reference(name)])),
      // Whatever else there is, such as a request too many, has the one form of all errors.
      default: reference('Error'),
    },
  };
}

function success(answer: SchemaName | undefined, types: readonly string[] | undefined): JsonSchema {
  if (answer !== undefined) return reference(answer);
  const description = 'Done.';
  if (types === undefined) return { description, type: 'object' };
  // An empty list: nothing stands in it.
  if (types.length === 0) return { description, type: 'null' };
  return { description, content: Object.fromEntries(types.map((type) => [type, { schema: TEXT }])) };
}

const TEXT = { type: 'string' } as const;

function reference(name: SchemaName): JsonSchema {
  return { $ref: `${name}#` };
}

/** To be added before the routes. */
export async function addOpenApi(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'secretbridge',
        version,
        description: 'The API of a running service. No answer holds a value.',
      },
      components: { securitySchemes: { bearer: { type: 'http', scheme: 'bearer' }, ...PROOFS } },
    },
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject;
      for (const path of Object.values(document.openapiObject.paths ?? {}))
        nameNeedOfBody(path?.post?.requestBody as RequestBody | undefined);
      return document.openapiObject;
    },
    refResolver: {
      buildLocalReference: ({ $id }, _, __, index) => (typeof $id === 'string' ? $id : `def-${index}`),
    },
  });
  for (const [name, schema] of Object.entries(SCHEMAS)) app.addSchema({ $id: name, ...schema });
  // The schemas of answers describe; they do not filter: a member that is not described yet must not vanish.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
}

interface RequestBody {
  required?: boolean;
  readonly content: Readonly<Record<string, { readonly schema?: { readonly type?: unknown } }>>;
}

/** The plugin calls every body required; one that may be `null` may be left out as well. */
function nameNeedOfBody(body: RequestBody | undefined): void {
  if (body === undefined) return;
  const types = Object.values(body.content).flatMap(({ schema }) => schema?.type);
  body.required = !types.includes('null');
}
