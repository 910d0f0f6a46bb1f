import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { AppError } from '../../core/errors.ts';
import { ROLES } from '../identity.ts';
import { describe, NO_QUERY } from '../openapi.ts';

const UI = join(import.meta.dirname, '../ui');

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
};

/**
 * Its own scripts, styles and API, and nothing else; no markup made from text (Trusted Types). Content Security
 * Policy Level 3, W3C.
 */
const POLICY = [
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

/** The review page, which holds no data before somebody signs in, and what it asks to know who that is. */
export function addPage(app: FastifyInstance): void {
  // Each file is a route of its own: an address is never turned into a path.
  for (const path of readdirSync(UI, { recursive: true, encoding: 'utf8' })) {
    const type = TYPES[path.slice(path.lastIndexOf('.') + 1)];
    if (type === undefined) continue;
    const content = readFileSync(join(UI, path));
    const url = path === 'index.html' ? '/' : `/ui/${path.replaceAll('\\', '/')}`;
    // A token in the address would be kept by the browser and by proxies: it must not look as if it worked.
    const schema = { hide: true, querystring: NO_QUERY };
    app.get(url, { config: { access: 'public' }, schema }, async (_, reply) =>
      reply.headers({ 'content-type': type, 'content-security-policy': POLICY }).send(content),
    );
  }

  app.get(
    '/api/v1/session',
    {
      config: { access: 'viewer' },
      schema: describe({
        id: 'session',
        tag: 'service',
        summary: 'Who the token belongs to, and the highest role that they have.',
        role: 'viewer',
        query: NO_QUERY,
        answer: 'Session',
      }),
    },
    async ({ identity }) => {
      if (identity === undefined) throw new AppError('INTERNAL', { detail: 'a session of nobody' });
      const held = await Promise.all(ROLES.map((role) => identity.may(role)));
      return { name: identity.name, role: ROLES[held.lastIndexOf(true)] };
    },
  );
}
