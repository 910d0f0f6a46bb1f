import { describe, expect, it } from 'vitest';
import { readPageFiles } from '../../src/http/page-files.ts';
import { startTestServer, TOKENS } from './harness.ts';

describe('the files of the web page', () => {
  it('the files of the web page have a content security policy that allows no other origin', async () => {
    await using api = await startTestServer();
    for (const url of ['/', '/ui/app.js', '/ui/app.css', '/ui/icon.svg', '/ui/licenses.txt']) {
      const { status, headers } = await api.call('GET', url);
      expect(status, url).toBe(200);
      const policy = String(headers['content-security-policy']);
      expect(policy).toMatch(/default-src 'none'/);
      expect(policy).not.toMatch(/unsafe|http|\*|data:|blob:/);
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['x-frame-options']).toBe('DENY');
    }
  });

  it.each([
    '/ui/',
    '/ui/tsconfig.json',
    '/ui/../server.ts',
    '/ui/%2e%2e/server.ts',
    '/ui/..%2fserver.ts',
    '/ui',
  ])('the files of the web page exclude %s', async (url) => {
    await using api = await startTestServer();
    expect((await api.call('GET', url)).status).toBe(404);
  });
});

const MAX_COMPRESSED_BYTES = 150_000;

describe('the web page', () => {
  it('the files of the web page have at most 150 kB when they are compressed', async () => {
    await using api = await startTestServer();
    let bytes = 0;
    for (const { url, compressed } of readPageFiles()) {
      const { status, headers } = await api.call('GET', url, { headers: { 'accept-encoding': 'gzip' } });
      expect([status, headers['content-encoding']], url).toEqual([200, 'gzip']);
      bytes += compressed.byteLength;
    }
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThan(MAX_COMPRESSED_BYTES);
  });

  it('the web page contains no data, inline scripts or inline styles', async () => {
    await using api = await startTestServer();
    const { text } = await api.call('GET', '/');
    expect(text).not.toMatch(/<style|style=|\son\w+=|<script(?! type="module" src="ui\/app\.js")|https?:/);
  });

  it('the web page rejects query parameters, because they could contain a token', async () => {
    await using api = await startTestServer();
    const { status, text } = await api.call('GET', `/?token=${TOKENS.viewer}`);
    expect(status).toBe(400);
    expect(text).not.toContain(TOKENS.viewer);
  });
});

describe('the session route', () => {
  it.each(['viewer', 'reviewer', 'operator'] as const)(
    'the session route returns the name and the role of a caller with the role %s',
    async (role) => {
      await using api = await startTestServer();
      expect((await api.get('/api/v1/session', TOKENS[role])).json).toEqual({ name: `the-${role}`, role });
    },
  );

  it('the session route rejects requests without a token', async () => {
    await using api = await startTestServer();
    expect((await api.call('GET', '/api/v1/session')).status).toBe(401);
  });
});
