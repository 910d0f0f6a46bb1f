import type { FastifyInstance } from 'fastify';

/** The part of a JSON Schema that gives the types of parameters. */
interface ParametersSchema {
  readonly properties?: Readonly<Record<string, { readonly type?: unknown }>>;
}

/**
 * Converts URL parameters to the number or boolean that their schema asks for, since URLs hold text only. Bodies are
 * not converted: JSON has its own types.
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

/** Text of another form stays text, so validation refuses it. */
function parseText(text: string, type: unknown): unknown {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}
