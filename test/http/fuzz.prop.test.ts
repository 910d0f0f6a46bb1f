import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entry } from '../audit/sample.ts';
import { startTestServer, TOKENS } from './harness.ts';

/** A marker in every request that must not appear in a response. */
const MARKER = 'mArKeR';
const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '__proto__',
    'constructor',
    '..',
    '../../etc',
    '\0',
    "' OR 1=1 --",
    '{{7*7}}',
    '%00',
    '🔑',
    '',
  ),
);
const part = nasty.map((text) => encodeURIComponent(`${text}${MARKER}`.toWellFormed()));
const raw = fc.string({ maxLength: 60 }).map((text) => text.replace(/[^!-~]/g, ''));
const parameter = fc.constantFrom(
  ...[
    'since',
    'until',
    'actor',
    'mapping',
    'namespace',
    'secret',
    'store',
    'key',
    'action',
    'outcome',
    'code',
  ],
  ...['request', 'fingerprint', 'limit', 'cursor', MARKER, '__proto__', 'a[b]'],
);
const query = fc.array(fc.tuple(parameter, part), { maxLength: 4 });

describe('any request', () => {
  it('gets a response below 500 that does not echo it', async () => {
    await using api = await startTestServer({}, { requests: 1_000_000 });
    await api.audit.append([entry()]);
    const url = fc.oneof(
      part.map((name) => `/api/v1/mappings/${name}`),
      part.map((name) => `/api/v1/mappings/${name}/sync`),
      part.map((name) => `/api/v1/mappings/${name}/rollback`),
      part.map((name) => `/api/v1/held/${name}/release`),
      fc.constantFrom('/api/v1/mappings/db/rollback', '/api/v1/mappings/db/unpin', '/api/v1/prune'),
      part.map((name) => `/api/v1/audit/records/${name}`),
      part.map((name) => `/${name}`),
      raw.map((text) => `/api/v1/mappings/${text}${MARKER}`),
      raw.map((text) => `/api/v1/audit/records?${text}${MARKER}`),
      fc
        .tuple(fc.constantFrom('audit/records', 'mappings', 'held', 'status', 'audit/verify'), query)
        .map(([list, pairs]) => `/api/v1/${list}?${pairs.map((pair) => pair.join('=')).join('&')}`),
    );
    const method = fc.constantFrom('GET', 'POST', 'HEAD', 'DELETE' as const);
    const body = fc.option(fc.oneof(nasty, fc.json()), { nil: undefined });
    await fc.assert(
      fc.asyncProperty(url, method, body, async (address, verb, payload) => {
        const { status, text } = await api.call(verb, address, {
          token: TOKENS.operator,
          ...(payload === undefined || verb === 'GET' || verb === 'HEAD'
            ? {}
            : { body: payload, headers: { 'content-type': 'application/json' } }),
        });
        expect(status).toBeLessThan(500);
        expect(text).not.toContain(MARKER);
      }),
      { numRuns: 200 },
    );
    expect(JSON.stringify(api.log)).not.toContain(MARKER);
  });
});
