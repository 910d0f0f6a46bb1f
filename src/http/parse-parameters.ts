import type { FastifyInstance } from 'fastify';

/** The part of a JSON Schema that contains the types of parameters. */
interface ParametersSchema {
  readonly properties?: Readonly<Record<string, { readonly type?: unknown }>>;
}

/**
 * Converts URL parameters, which are text, to the numbers and booleans that their schema requires. Bodies are not
 * converted, because JSON has its own types.
 */
export function parseParameters(app: FastifyInstance): void {
  app.addHook('preValidation', async (request) => {
    const { querystring, params } = request.routeOptions.schema ?? {};
    request.query = withTypes(request.query, querystring as ParametersSchema | undefined);
    request.params = withTypes(request.params, params as ParametersSchema | undefined);
  });
}

function withTypes(parameters: unknown, { properties = {} }: ParametersSchema = {}): unknown {
  const texts = parameters as Readonly<Record<string, unknown>>;
  const parsed = Object.entries(properties).flatMap(([name, { type }]) => {
    const text = texts[name];
    return typeof text === 'string' ? [[name, parseText(text, type)] as const] : [];
  });
  return { ...texts, ...Object.fromEntries(parsed) };
}

/** Text that is not a number or boolean stays unchanged, so validation rejects it. */
function parseText(text: string, type: unknown): unknown {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}
