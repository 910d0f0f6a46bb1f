import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { parseIfJson } from '../core/json.ts';

/**
 * The schema of the body of a route without body fields. Unknown fields are rejected. Otherwise a caller could believe
 * that the fields had an effect.
 */
export const NO_BODY = { type: ['object', 'null'], additionalProperties: false, properties: {} } as const;

/**
 * Accepts only JSON bodies. If a route needs no body, it accepts an empty body with any content type. Some clients
 * always send a content type: `curl -d ''` and PowerShell send the type of a form.
 */
export function acceptJsonOnly(app: FastifyInstance): void {
  app.addHook('preParsing', async ({ raw: { headers } }) => {
    const isEmpty = (headers['content-length'] ?? '0') === '0' && headers['transfer-encoding'] === undefined;
    if (isEmpty) delete headers['content-type'];
  });
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = body as string;
    if (text.length === 0) return done(null, undefined);
    const { body: schema } = request.routeOptions.schema ?? {};
    void parse(request, text, (error, value) =>
      done(error ?? duplicateMemberError(text, propertyNames(schema)), value),
    );
  });
}

/**
 * Rejects duplicate fields. Some JSON parsers use the first of two fields with the same name, and others use the last
 * (RFC 8259, section 4).
 */
function duplicateMemberError(text: string, names: readonly string[]): AppError | null {
  const node = parseIfJson(text.replace(/^\uFEFF/, ''));
  if (node === undefined) return new AppError('INVALID_REQUEST', { detail: 'the body is not JSON' });
  const memberNames = node.kind === 'object' ? node.members.map(([name]) => name) : [];
  // The schema rejects unknown names. Do not repeat them in the error message.
  const duplicate = names.find((name) => memberNames.indexOf(name) !== memberNames.lastIndexOf(name));
  if (duplicate === undefined) return null;
  return new AppError('INVALID_REQUEST', {
    detail: `the member of the body \`${duplicate}\` is duplicated`,
  });
}

function propertyNames(schema: unknown): readonly string[] {
  const { properties = {} } = (schema ?? {}) as { readonly properties?: object };
  return Object.keys(properties);
}

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

/** Converts text to a number or boolean. Other text stays unchanged, so validation rejects it. */
function parseText(text: string, type: unknown): unknown {
  if (type === 'integer' && /^-?\d+$/.test(text)) return Number(text);
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text === 'true';
  return text;
}

/**
 * A validation error of ajv. Its messages and some of its parameters quote the input, so they must not appear in a
 * response.
 */
interface Violation {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const LOCATIONS: Readonly<Record<string, string>> = {
  querystring: 'parameter',
  params: 'part of the URL',
  body: 'member of the body',
};

/** Describes the first violation. The text contains only words of our schemas, and nothing of the input. */
export function validationDetail([first]: readonly Violation[], context: string | undefined): string {
  const location = LOCATIONS[context ?? ''] ?? 'field';
  if (first === undefined) return `a ${location} is not valid`;
  if (first.keyword === 'additionalProperties') return `there is an unknown ${location}`;
  if (first.keyword === 'required')
    return `the ${location} \`${String(first.params.missingProperty)}\` is missing`;
  // The path contains only names of the schema, because unknown names are handled above.
  const name = first.instancePath.slice(1);
  if (name === '' && context === 'body') return 'the body must be a JSON object';
  return name === ''
    ? `a ${location} is not valid`
    : `the ${location} \`${name}\` must ${expectation(first)}`;
}

function expectation({ keyword, params }: Violation): string {
  switch (keyword) {
    case 'type':
      return params.type === 'integer'
        ? 'be an integer'
        : `be of the type ${String(params.type)} and occur once`;
    case 'minimum':
      return `be at least ${String(params.limit)}`;
    case 'maximum':
      return `be at most ${String(params.limit)}`;
    case 'minLength':
    case 'maxLength':
      return `have ${keyword === 'minLength' ? 'at least' : 'at most'} ${String(params.limit)} characters`;
    case 'enum':
      return `be one of ${Array.isArray(params.allowedValues) ? params.allowedValues.join(', ') : 'those described'}`;
    default:
      return 'have the form that the API description gives';
  }
}
