import { describe, expect, it } from 'vitest';
import type { EmailChannel, SlackChannel } from '../../src/notify/channel.ts';
import { messageOf, textOf } from '../../src/notify/message.ts';
import { send } from '../../src/notify/send.ts';
import { startMailServer } from './mail-server.ts';
import { START, sendDeps, signatureOf, startReceiver, webhook } from './sample.ts';

const trouble = (secret: string, sequence: number) => ({
  ...{ kind: 'failed' as const, code: 'STORE_UNAVAILABLE', mapping: secret, namespace: 'apps', secret },
  ...{ sequence, since: START - 60_000 },
});
const MESSAGE = messageOf(
  { opened: [trouble('db', 7), trouble('api', 8)], closed: [] },
  { instance: 'prod', channel: 'ops', now: START },
);
const KEY = 'a key that signs';

describe('a webhook', () => {
  it('gets a signed message with names and codes', async () => {
    await using receiver = await startReceiver();
    await send(webhook(), MESSAGE, sendDeps({ URL: receiver.url, KEY }));
    const [{ headers, body } = { headers: {}, body: '' }] = receiver.received;
    const [, time = '', digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(
      String(headers['x-secretbridge-signature']),
    ) ?? [''];
    expect(digest).toBe(signatureOf(KEY, time, body));
    expect(headers['x-secretbridge-delivery']).toBe(MESSAGE.id);
    expect(JSON.parse(body)).toEqual(MESSAGE);
    expect(MESSAGE).toMatchObject({
      instance: 'prod',
      channel: 'ops',
      opened: [
        {
          ...{ kind: 'failed', code: 'STORE_UNAVAILABLE', count: 2 },
          troubles: [
            { mapping: 'api', namespace: 'apps', secret: 'api', record: 8 },
            { mapping: 'db', namespace: 'apps', secret: 'db', record: 7 },
          ],
        },
      ],
      closed: [],
    });
  });

  it.each([301, 307, 400, 404, 429, 500])(
    'fails with the status %s, and follows no redirect',
    async (status) => {
      await using receiver = await startReceiver();
      await using other = await startReceiver();
      receiver.answer = { status, headers: { location: other.url, 'retry-after': '7' } };
      const sent = send(webhook(), MESSAGE, sendDeps({ URL: receiver.url, KEY }));
      await expect(sent).rejects.toMatchObject({
        code: 'NOTIFY_FAILED',
        detail: expect.stringContaining(`${status}`),
        retryAfterMs: 7_000,
      });
      expect(other.received).toEqual([]);
    },
  );

  it('is not sent to a private address unless that is allowed', async () => {
    await using receiver = await startReceiver();
    for (const url of [receiver.url, receiver.url.replace('127.0.0.1', 'localhost')]) {
      const sent = send(webhook({ allowPrivate: false }), MESSAGE, sendDeps({ URL: url, KEY }));
      await expect(sent).rejects.toMatchObject({ code: 'NOTIFY_FAILED', isTransient: false });
    }
    expect(receiver.received).toEqual([]);
  });

  it.each(['http://hooks.example.com/x', 'ftp://example.com', 'no url', ''])(
    'fails with the URL %j, and the error does not quote it',
    async (URL) => {
      const error: unknown = await send(webhook(), MESSAGE, sendDeps({ URL, KEY })).catch(
        (thrown: unknown) => thrown,
      );
      expect(error).toMatchObject({ code: 'NOTIFY_FAILED', isTransient: false });
      if (URL !== '') expect(JSON.stringify(error)).not.toContain(URL);
    },
  );

  it('fails if nothing listens, and the error does not quote the URL', async () => {
    const receiver = await startReceiver();
    await receiver[Symbol.asyncDispose]();
    const error: unknown = await send(webhook(), MESSAGE, sendDeps({ URL: receiver.url, KEY })).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: 'NOTIFY_FAILED', detail: 'the connection was refused' });
    expect(String(error) + JSON.stringify(error)).not.toContain('the-secret-part');
  });

  it('stops when the process ends', async () => {
    await using receiver = await startReceiver();
    const ending = AbortSignal.abort(new Error('the process ends'));
    const deps = { ...sendDeps({ URL: receiver.url, KEY }), signal: ending };
    await expect(send(webhook(), MESSAGE, deps)).rejects.toThrow('the process ends');
  });
});

describe('a Slack channel', () => {
  it('gets a text, with escaped characters', async () => {
    await using receiver = await startReceiver();
    const { secret: _, ...common } = webhook();
    const channel: SlackChannel = { ...common, kind: 'slack' };
    const message = { ...MESSAGE, instance: 'a<b>&c' };
    await send(channel, message, sendDeps({ URL: receiver.url }));
    const { text } = JSON.parse(receiver.received[0]?.body ?? '') as { text: string };
    expect(text).toMatch(/^\*secretbridge a&lt;b&gt;&amp;c: 2 targets fail \(STORE_UNAVAILABLE\)\*\n/);
    expect(text).toContain('- apps/db, mapping db, since 2027-01-15T07:59:00Z');
  });
});

describe('an e-mail', () => {
  const channel = (port: number, part: Partial<EmailChannel['server']> = {}): EmailChannel => ({
    ...{ name: 'mail', kind: 'email', on: ['failed'], afterMs: 0, allowPrivate: true },
    ...{ address: { env: 'TO' }, from: 'Secretbridge <bridge@example.com>' },
    server: { host: 'localhost', port, security: 'startTls', ...part },
  });
  const deps = sendDeps({ TO: 'ann@example.com, bob@example.com', PASSWORD: 'right' });

  it('goes to all receivers over TLS with a login', async () => {
    await using server = await startMailServer();
    const login = { caFile: server.caFile, username: 'bridge', password: { env: 'PASSWORD' } };
    await send(channel(server.port, login), MESSAGE, deps);
    expect(server.received).toMatchObject([
      { to: ['ann@example.com', 'bob@example.com'], user: 'bridge', secure: true },
    ]);
    const text = server.received[0]?.text ?? '';
    expect(text).toContain('Subject: secretbridge prod: 2 targets fail (STORE_UNAVAILABLE)');
    expect(text).toContain(`Message-ID: <${MESSAGE.id}@secretbridge.prod>`);
    expect(text.replaceAll('=\r\n', '').replaceAll('\r\n', '\n')).toContain(textOf(MESSAGE).split('\n')[1]);
  });

  it('is sent without TLS only if the channel says so', async () => {
    await using server = await startMailServer({ tls: false });
    await expect(send(channel(server.port), MESSAGE, deps)).rejects.toMatchObject({ code: 'NOTIFY_FAILED' });
    await send(channel(server.port, { security: 'none' }), MESSAGE, deps);
    expect(server.received).toHaveLength(1);
  });

  it.each([
    ['an unknown certificate', {}, 'TO'],
    ['a wrong password', { username: 'bridge', password: { env: 'WRONG' } }, 'TO'],
    ['a receiver that the server refuses', {}, 'REFUSED'],
  ])('fails with %s, and the error does not quote the server', async (what, login, to) => {
    await using server = await startMailServer();
    const caFile = what === 'an unknown certificate' ? {} : { caFile: server.caFile };
    const mail = { ...channel(server.port, { ...login, ...caFile }), address: { env: to } };
    const env = { TO: 'ann@example.com', REFUSED: 'unknown@example.com', WRONG: 'wrong' };
    const error: unknown = await send(mail, MESSAGE, sendDeps(env)).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'NOTIFY_FAILED' });
    expect(String(error)).not.toContain('said by the server');
    expect(server.received).toEqual([]);
  });

  it('is not sent to a server with a private address unless that is allowed', async () => {
    await using server = await startMailServer();
    const mail = { ...channel(server.port, { caFile: server.caFile }), allowPrivate: false };
    await expect(send(mail, MESSAGE, deps)).rejects.toMatchObject({
      code: 'NOTIFY_FAILED',
      isTransient: false,
    });
  });
});
