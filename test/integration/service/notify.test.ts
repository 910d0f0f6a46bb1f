import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../../src/audit/entry.ts';
import { type Receiver, signatureOf, startReceiver } from '../../notify/sample.ts';
import { startRedis } from '../services/redis.ts';
import { within } from './service-process.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

const KEY = 'a key that signs messages';

const config: WorldOptions['config'] = ({ prefix, ns }) =>
  `defaults: { refresh: 1s }
notify:
  - { name: ops, kind: webhook, url: { file: ./url }, secret: { file: ./key }, after: 1s, allowPrivate: true }
mappings:
${['one', 'two', 'three']
  .map(
    (name) =>
      `  - { name: ${name}, target: { namespace: ${ns('apps')} }, data: { A: { store: vault, key: ${prefix}/${name}, property: a } } }`,
  )
  .join('\n')}
`;

interface Body {
  readonly opened: readonly { readonly kind: string; readonly code: string; readonly count: number }[];
  readonly closed: Body['opened'];
}

const bodies = ({ received }: Receiver) => received.map(({ body }) => JSON.parse(body) as Body);
/** The first record of a channel is about no message. */
const messagesIn = (records: readonly AuditRecord[]) =>
  records.filter(({ action, counts }) => action === 'notify' && counts?.opened !== undefined);
const VALUE = 'a-value-that-must-not-leave';

async function open(receiver: Receiver, options: Partial<WorldOptions> = {}): Promise<World> {
  const world = await openWorld({ config, ...options });
  await writeFile(`${world.folder}/url`, receiver.url, { mode: 0o600 });
  await writeFile(`${world.folder}/key`, KEY, { mode: 0o600 });
  return world;
}

describe('notifications of the running service', () => {
  it('one signed message when targets fail, one when they are in sync, and none after a crash', async () => {
    await using receiver = await startReceiver();
    await using world = await open(receiver);
    await world.vault.put('one', { a: VALUE });
    {
      await using served = await world.serve();
      await within(30_000, async () => {
        expect(bodies(receiver)).toMatchObject([
          { opened: [{ kind: 'failed', code: 'SOURCE_ABSENT', count: 2 }], closed: [] },
        ]);
      });
      const [{ headers, body } = { headers: {}, body: '' }] = receiver.received;
      const [, time = '', digest] =
        /^t=(\d+),v1=(.*)$/.exec(String(headers['x-secretbridge-signature'])) ?? [];
      expect(digest).toBe(signatureOf(KEY, time, body));
      await within(15_000, async () => {
        const { notify } = await served.status();
        expect(notify).toMatchObject([{ name: 'ops', kind: 'webhook', state: 'up' }]);
        const notified = messagesIn(await world.records());
        expect(notified).toMatchObject([{ outcome: 'ok', note: 'ops' }]);
      });
      served.kill('SIGKILL');
      await served.ended;
    }
    await using served = await world.serve();
    await world.vault.put('two', { a: VALUE });
    await world.vault.put('three', { a: VALUE });
    await within(30_000, async () => {
      expect(bodies(receiver).flatMap(({ closed }) => closed)).toMatchObject([
        { kind: 'failed', code: 'SOURCE_ABSENT' },
      ]);
    });
    expect(bodies(receiver).flatMap(({ opened }) => opened)).toHaveLength(1);
    const count = bodies(receiver).flatMap(({ closed }) => closed.map((group) => group.count));
    expect(count.reduce((sum, each) => sum + each, 0)).toBe(2);
    expect(JSON.stringify(receiver.received) + served.log()).not.toContain(VALUE);
    expect(served.log()).not.toContain('the-secret-part');
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });

  it('a message that cannot be delivered is sent again until it is', async () => {
    await using receiver = await startReceiver();
    receiver.answer = { status: 503 };
    await using world = await open(receiver);
    await using served = await world.serve();
    await within(30_000, async () => {
      expect((await served.status()).notify).toMatchObject([{ state: 'degraded', code: 'NOTIFY_FAILED' }]);
    });
    receiver.answer = { status: 200 };
    await within(30_000, async () => {
      expect((await served.status()).notify).toMatchObject([{ state: 'up' }]);
    });
    const ids = receiver.received.map(({ headers }) => headers['x-secretbridge-delivery']);
    expect(ids.length).toBeGreaterThan(1);
    expect(served.log()).not.toContain('the-secret-part');
  });

  it('two replicas send one message, also after one of them has crashed', async () => {
    await using receiver = await startReceiver();
    await using redis = await startRedis();
    await using world = await open(receiver, { redisUrl: `redis://127.0.0.1:${redis.port}`, postgres: true });
    const one = await world.replica('a');
    await using other = await world.replica('b');
    await within(30_000, async () => {
      expect(bodies(receiver).flatMap(({ opened }) => opened)).toMatchObject([{ kind: 'failed', count: 3 }]);
      // A crash between a message and its record makes one double.
      expect(messagesIn(await world.records())).toHaveLength(receiver.received.length);
    });
    one.kill('SIGKILL');
    await one.ended;
    for (const name of ['one', 'two', 'three']) await world.vault.put(name, { a: VALUE });
    await within(60_000, async () => {
      const closed = bodies(receiver).flatMap((body) => body.closed.map(({ count }) => count));
      expect(closed.reduce((sum, count) => sum + count, 0)).toBe(3);
    });
    expect(bodies(receiver).flatMap(({ opened }) => opened)).toHaveLength(1);
    expect((await other.status()).notify).toMatchObject([{ name: 'ops' }]);
    const notified = messagesIn(await world.records());
    expect(notified).toHaveLength(receiver.received.length);
  });
});
