import { describe, expect, it } from 'vitest';
import { openBench, TOKENS } from './harness.ts';

describe('the files of the page', () => {
  it('come with a policy that allows their own origin alone', async () => {
    await using bench = await openBench();
    for (const url of ['/', '/ui/app.js', '/ui/base.css', '/ui/icon.svg', '/ui/views/record.js']) {
      const { status, headers } = await bench.call('GET', url);
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
  ])('are no more than what the page needs: %s', async (url) => {
    await using bench = await openBench();
    expect((await bench.call('GET', url)).status).toBe(404);
  });
});

describe('the page itself', () => {
  it('holds no data and no script or style of its own', async () => {
    await using bench = await openBench();
    const { text } = await bench.call('GET', '/');
    expect(text).not.toMatch(/<style|style=|\son\w+=|<script(?! type="module" src="ui\/app\.js")|https?:/);
  });

  it('takes nothing in its address, where a token might be', async () => {
    await using bench = await openBench();
    const { status, text } = await bench.call('GET', `/?token=${TOKENS.viewer}`);
    expect(status).toBe(400);
    expect(text).not.toContain(TOKENS.viewer);
  });
});

describe('a session', () => {
  it.each(['viewer', 'reviewer', 'operator'] as const)('says that a token is of a %s', async (role) => {
    await using bench = await openBench();
    expect((await bench.get('/api/v1/session', TOKENS[role])).json).toEqual({ name: `the-${role}`, role });
  });

  it('is nobody without a token', async () => {
    await using bench = await openBench();
    expect((await bench.call('GET', '/api/v1/session')).status).toBe(401);
  });
});
