import type { FastifyInstance } from 'fastify';
import { AppError } from '../core/errors.ts';
import { parseIfJson } from '../core/json.ts';

/**
 * The schema of the body of a route without body fields. Unknown fields are rejected. Otherwise a caller could believe
 * that they had an effect.
 */
export const NO_BODY = { type: ['object', 'null'], additionalProperties: false, properties: {} } as const;

/**
 * Accepts only JSON bodies. An empty body with any content type is accepted by routes that need no body. Some clients
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

/** Rejects duplicate fields, because JSON parsers differ in which of them they use (RFC 8259, section 4). */
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
