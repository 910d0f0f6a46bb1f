import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { request } from 'undici';
import { expect, it } from 'vitest';
import { ROOT } from '../../docs/markdown.ts';
import { SECRET, startEventTestServer } from '../../http/events-harness.ts';

const run = promisify(execFile);
const page = readFileSync(join(ROOT, 'docs/how-to/webhooks.md'), 'utf8');
const command = /```sh\n(body=[\s\S]*?)```/.exec(page)?.[1] ?? '';

it('the command on the webhooks page works without changes', async () => {
  await using events = await startEventTestServer();
  events.now = Date.now();
  const url = await events.api.server.listen('127.0.0.1:0');
  const env = { PATH: process.env.PATH, SECRETBRIDGE_URL: url, HOOK_SECRET: SECRET };
  const { stdout } = await run('sh', ['-eu', '-c', command], { env });
  expect(JSON.parse(stdout)).toEqual({ requestId: expect.any(String), targets: 1 });
  expect(events.submissions).toMatchObject([
    { hints: [{ store: 'team-vault', keys: ['payments/db'] }], origin: { kind: 'webhook', name: 'ci' } },
  ]);
  const rejected = run('sh', ['-eu', '-c', command], { env: { ...env, HOOK_SECRET: 'another' } });
  await expect(rejected).rejects.toMatchObject({
    code: 22,
    stdout: expect.stringContaining('EVENT_REFUSED'),
  });
});

it('accepts a body that is sent in chunks, and rejects a body that is too large', async () => {
  await using events = await startEventTestServer();
  events.now = Date.now();
  const url = `${await events.api.server.listen('127.0.0.1:0')}/events/webhook/ci`;
  const text = '{"store":"team-vault","key":"payments/db"}';
  const time = Math.floor(events.now / 1_000);
  const digest = createHmac('sha256', SECRET).update(`${time}.${text}`).digest('hex');
  const headers = { 'x-secretbridge-signature': `t=${time},v1=${digest}` };
  const pieces = Readable.from(Array.from(Buffer.from(text), (byte) => Buffer.of(byte)));
  const chunked = await request(url, { method: 'POST', headers, body: pieces });
  expect(chunked.statusCode).toBe(202);
  await chunked.body.dump();
  const large = await fetch(url, { method: 'POST', headers, body: 'x'.repeat(1_000_000) });
  expect([large.status, ((await large.json()) as { code: string }).code]).toEqual([413, 'INVALID_REQUEST']);
});
