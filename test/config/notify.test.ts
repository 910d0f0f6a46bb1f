import { describe, expect, it } from 'vitest';
import { TROUBLE_KINDS } from '../../src/core/troubles.ts';
import { linesOf, loadText, VALID } from './memory-fs.ts';

const WEBHOOK = '{ name: ops, kind: webhook, url: { env: URL }, secret: { file: ./key } }';
const mail = (server: string) =>
  `{ name: mail, kind: email, address: { env: TO }, from: 'Bridge <b@example.com>', server: ${server} }`;
const withChannels = (...channels: readonly string[]) =>
  loadText(`${VALID}notify:\n${channels.map((channel) => `  - ${channel}\n`).join('')}`);

describe('the channels of a configuration', () => {
  it('have defaults, and paths relative to their file', async () => {
    const loaded = await withChannels(
      WEBHOOK,
      '{ name: chat, kind: slack, url: { env: SLACK }, on: [held], namespaces: [pay*], after: 15m }',
      mail('{ host: smtp.example.com, caFile: ca.pem }'),
    );
    expect(linesOf(loaded)).toEqual([]);
    if (loaded.kind !== 'usable') return expect.unreachable();
    expect(loaded.config.notify).toMatchObject([
      {
        ...{ name: 'ops', on: TROUBLE_KINDS, afterMs: 300_000, allowPrivate: false },
        secret: { file: '/home/ann/key' },
      },
      { name: 'chat', on: ['held'], namespaces: ['pay*'], afterMs: 900_000 },
      {
        name: 'mail',
        server: { host: 'smtp.example.com', port: 587, security: 'startTls', caFile: '/home/ann/ca.pem' },
      },
    ]);
  });

  it.each([
    ['a literal address', WEBHOOK.replace('{ env: URL }', 'https://hooks.example.com/x'), 'notify[0].url'],
    ['no key', WEBHOOK.replace(', secret: { file: ./key }', ''), 'notify[0].secret'],
    ['an unknown trouble', WEBHOOK.replace('kind: webhook', 'kind: webhook, on: [helt]'), 'notify[0].on[0]'],
    ['an unknown kind', WEBHOOK.replace('kind: webhook', 'kind: pager'), 'notify[0].kind'],
    ['a password without a user name', mail('{ host: m, password: { env: P } }'), 'notify[0].server'],
    [
      'a login without TLS',
      mail('{ host: m, security: none, username: u, password: { env: P } }'),
      'notify[0].server.security',
    ],
    ['a sender with a line break', mail('{ host: m }').replace("'Bridge <", '"a\\nBcc: x@y.z <').replace(".com>'", '.com>"'), 'notify[0].from'],
  ])('are rejected with %s', async (_, channel, path) => {
    const loaded = await withChannels(channel);
    expect(loaded.kind).toBe('invalid');
    expect(loaded.problems.map((problem) => problem.path)).toEqual([path]);
  }); // biome-ignore format: a table

  it('are rejected with the same name twice', async () => {
    const loaded = await withChannels(WEBHOOK, WEBHOOK);
    expect(loaded.problems.map(({ path, code }) => `${path} ${code}`)).toEqual([
      'notify[1].name CONFIG_INVALID',
    ]);
  });
});
