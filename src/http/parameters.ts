import type { FastifyInstance } from 'fastify';

/** As much of a JSON Schema as says what a text stands for. */
interface ParametersSchema {
  readonly properties?: Readonly<Record<string, { readonly type?: unknown }>>;
}

/**
 * In an address everything is text, so what a schema calls a number or a boolean is read as one there. A body says
 * itself what is what, and nothing in it is taken for something else.
 */
export function readParameters(app: FastifyInstance): void {
  app.addHook('preValidation', async (request) => {
    const { querystring, params } = request.routeOptions.schema ?? {};
    request.query = typed(request.query, querystring as ParametersSchema | undefined);
    request.params = typed(request.params, params as ParametersSchema | undefined);
  });
}

function typed(given: unknown, { properties = {} }: ParametersSchema = {}): unknown {
  const texts = given as Readonly<Record<string, unknown>>;
  const read = Object.entries(properties).flatMap(([name, { type }]) => {
    const text = texts[name];
    return typeof text === 'string' ? [[name, asType(text, type)] as const] : [];
  });
  return { ...texts, ...Object.fromEntries(read) };
}

/** What does not look like one stays text, and so is refused. */
function asType(text: string, type: unknown): unknown {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}
