import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { ROLES } from '../../core/words.ts';
import { describe, NO_QUERY } from '../openapi.ts';
import { readPageFiles } from '../page-files.ts';

/**
 * The Content Security Policy allows only the page's own scripts, styles and API. Trusted Types forbid creating markup
 * from text. See W3C Content Security Policy Level 3.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join(';');

/** Serves the review page, and the session route for signing in. The page contains no data before sign-in. */
export function addPage(app: FastifyInstance): void {
  // Each file has its own route, so no URL is used as a file path.
  for (const { url, type, content, compressed } of readPageFiles()) {
    // Reject a token in the query instead of ignoring it, because browsers and proxies store URLs.
    const schema = { hide: true, querystring: NO_QUERY };
    app.get(url, { config: { access: 'public' }, schema }, async ({ headers }, reply) => {
      const isCompressed = /\bgzip\b/.test(headers['accept-encoding'] ?? '');
      return reply
        .headers({
          'content-type': type,
          'content-security-policy': CONTENT_SECURITY_POLICY,
          vary: 'accept-encoding',
          ...(isCompressed ? { 'content-encoding': 'gzip' } : {}),
        })
        .send(isCompressed ? compressed : content);
    });
  }

  app.get(
    '/api/v1/session',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'session',
        tag: 'service',
        summary:
          'The owner of the token, and the highest role of the owner. `namespaces` has globs, and is absent for people with access to all namespaces.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'Session',
      }),
    },
    async ({ identity }) => {
      if (identity === undefined)
        throw new AppError('INTERNAL', { detail: 'the session route has no caller' });
      const granted = await Promise.all(ROLES.map((role) => identity.namespaces(role)));
      const [lowest] = granted;
      return {
        name: identity.name,
        role: ROLES[granted.findLastIndex((namespaces) => namespaces !== undefined)],
        ...(lowest === undefined || lowest === 'all' ? {} : { namespaces: lowest.globs }),
        ...(identity.endsAt === undefined ? {} : { endsAt: new Date(identity.endsAt).toISOString() }),
      };
    },
  );
}
