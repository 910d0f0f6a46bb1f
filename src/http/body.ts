import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { parseIfJson } from '../core/json.ts';

/** For a route that needs to be told nothing: what it would ignore must not look as if it counted. */
export const NO_BODY = { type: ['object', 'null'], additionalProperties: false, properties: {} } as const;

/** An empty body is no fault where none is needed, as some clients always name a type: `curl -d ''` and PowerShell that of a form. */
export function takeJsonOnly(app: FastifyInstance): void {
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
    void parse(request, text, (error, value) => done(error ?? repeated(text, namesIn(schema)), value));
  });
}

/** Which of two members of one name counts depends on who reads them (RFC 8259, 4). */
function repeated(text: string, names: readonly string[]): AppError | null {
  const node = parseIfJson(text.replace(/^\uFEFF/, ''));
  if (node === undefined) return new AppError('INVALID_REQUEST', { detail: 'the body is not JSON' });
  const given = node.kind === 'object' ? node.members.map(([name]) => name) : [];
  // Any other name is refused by the schema, and not repeated.
  const twice = names.find((name) => given.indexOf(name) !== given.lastIndexOf(name));
  if (twice === undefined) return null;
  return new AppError('INVALID_REQUEST', { detail: `the member of the body \`${twice}\` is there twice` });
}

function namesIn(schema: unknown): readonly string[] {
  const { properties = {} } = (schema ?? {}) as { readonly properties?: object };
  return Object.keys(properties);
}
