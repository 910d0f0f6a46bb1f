import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { apiCall, labelUpdated, serviceEvent } from '../../events/aws-events.ts';
import { openAccount, REGION } from '../providers/aws-harness.ts';
import { within } from '../service/service-process.ts';
import { base64, openWorld } from '../service/world.ts';
import { localstack } from '../services/inject.ts';
import { createQueue, NO_SQS } from './queue.ts';

/** A service on LocalStack. Its sweeps are rare, so only events report changes. */
async function open() {
  const account = openAccount();
  // An interrupted poll may still take a message from the queue. SQS makes the message visible again after this time.
  const short = { VisibilityTimeout: '2' };
  const queue = await createQueue(account.account, short);
  const other = await createQueue(account.account, short);
  const config =
    (queueUrl: string) =>
    ({ ns }: { ns: (short: string) => string }) =>
      `  - name: aws
    kind: aws-secrets-manager
    region: ${REGION}
    endpoint: ${localstack().address}
    auth: { method: static, accessKeyId: { file: ./key-id }, secretAccessKey: { file: ./secret-key } }
events: { sqs: [ { name: eu, queueUrl: '${queueUrl}', store: aws } ] }
log: { level: debug }
defaults: { refresh: 12h }
mappings:
  - { name: one, target: { namespace: ${ns('apps')} }, data: { A: { store: aws, key: db } } }
  - { name: two, target: { namespace: ${ns('apps')} }, data: { A: { store: aws, key: db } } }
  - { name: found, target: { namespace: ${ns('apps')} }, dataFrom: [ { store: aws, find: { path: features } } ] }
`;
  const world = await openWorld({ config: config(queue.url), granted: false });
  await writeFile(join(world.folder, 'key-id'), account.account, { mode: 0o600 });
  await writeFile(join(world.folder, 'secret-key'), 'x', { mode: 0o600 });
  await world.grant();
  return {
    account,
    queue,
    other,
    world,
    config,
    expectData: async (name: string, data: Readonly<Record<string, string>>) => {
      const expected = Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)]));
      expect((await world.secret(name))?.data).toEqual(expected);
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]();
      for (const resource of [account, queue, other]) resource[Symbol.dispose]();
    },
  };
}

const EVENT_MS = 10_000;

describe('the service with an event queue', () => {
  it('syncs after every kind of rotation event, and records the received events', {
    timeout: 120_000,
  }, async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    await using opened = await open();
    const { account, queue, world } = opened;
    const created = await account.put('db', 'first');
    await account.put('features/a', '1');
    await using served = await world.serve();
    await within(20_000, () => opened.expectData('one', { A: 'first' }));
    await within(20_000, () => opened.expectData('found', { a: '1' }));

    const latencies: number[] = [];
    const rotate = async (value: string, event: object) => {
      await account.put('db', value);
      await queue.send(event);
      latencies.push(await within(EVENT_MS, () => opened.expectData('one', { A: value })));
      await within(EVENT_MS, () => opened.expectData('two', { A: value }));
    };
    await rotate('second', labelUpdated('db', { resources: [created.ARN] }));
    await rotate('third', apiCall('PutSecretValue', { requestParameters: { secretId: 'db' } }));
    await rotate(
      'fourth',
      serviceEvent('RotationSucceeded', { additionalEventData: { SecretId: created.ARN } }),
    );
    await account.put('features/b', '2');
    await queue.send(apiCall('CreateSecret', { requestParameters: { name: 'features/b' } }));
    await within(EVENT_MS, () => opened.expectData('found', { a: '1', b: '2' }));
    expect(Math.min(...latencies)).toBeLessThan(1_500);

    // One message causes one request and one read, shared by all targets of the key.
    const records = await world.records();
    const byEvent = records.filter(({ actor }) => actor.kind === 'event');
    expect(new Set(byEvent.map(({ actor }) => actor.name))).toEqual(new Set(['eu']));
    const reads = byEvent.filter(({ action, key }) => action === 'read' && key === 'db');
    expect(reads).toHaveLength(3);
    for (const { requestId } of reads) {
      const outcomes = byEvent.filter(
        (record) => record.requestId === requestId && record.phase === 'outcome',
      );
      expect(outcomes.map(({ mapping }) => mapping).sort()).toEqual(['one', 'two']);
    }
    expect(await served.metric('secretbridge_events_total{intake="eu",outcome="taken"}')).toBe(4);
    expect(await served.metric('secretbridge_intake_up{intake="eu"}')).toBe(1);
    await within(EVENT_MS, async () => expect(await queue.size()).toBe(0));
  });

  it('drops the parts of a message that the service does not need', { timeout: 120_000 }, async ({
    skip,
  }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    await using opened = await open();
    const { account, queue, world } = opened;
    await account.put('db', 'first');
    await using served = await world.serve();
    await within(20_000, () => opened.expectData('one', { A: 'first' }));
    const marker = 'MaRkEr-4711';
    const eventFields = {
      secretString: marker,
      responseElements: { arn: marker },
      userAgent: marker,
      note: marker,
    };
    await account.put('db', 'second');
    await queue.send(
      apiCall(
        'PutSecretValue',
        { ...eventFields, requestParameters: { secretId: 'db', secretString: marker } },
        { marker },
      ),
    );
    await queue.send(labelUpdated(marker));
    await queue.send(`${marker} is no event`);
    await queue.send(JSON.stringify({ source: 'aws.secretsmanager', 'detail-type': marker }));
    await within(EVENT_MS, () => opened.expectData('one', { A: 'second' }));
    await within(EVENT_MS, async () =>
      expect(await served.metric('secretbridge_events_total{intake="eu",outcome="malformed"}')).toBe(2),
    );
    const { text: metrics } = await served.get('/metrics');
    const run = await served.stop();
    const audit = await readFile(join(world.folder, 'state', 'audit.db'));
    const all = [
      run.stdout,
      run.stderr,
      metrics,
      JSON.stringify(await world.records()),
      audit.toString('latin1'),
    ];
    expect(all.filter((text) => text.includes(marker))).toEqual([]);
  });

  it('uses a new queue and new credentials without a restart, and stops without delay', {
    timeout: 120_000,
  }, async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    await using opened = await open();
    const { account, queue, other, world } = opened;
    await account.put('db', 'first');
    await using served = await world.serve();
    await within(20_000, () => opened.expectData('one', { A: 'first' }));

    await world.configure({ config: opened.config(other.url) });
    await within(20_000, async () =>
      expect(
        (await world.records())
          .map(({ note }) => note ?? '')
          .filter((note) => note.includes('changed: events')),
      ).toHaveLength(1),
    );
    await account.put('db', 'second');
    await other.send(labelUpdated('db'));
    await within(EVENT_MS, () => opened.expectData('one', { A: 'second' }));
    await queue.send(labelUpdated('db'));

    await writeFile(join(world.folder, 'secret-key'), 'y', { mode: 0o600 });
    await within(20_000, () => expect(served.log()).toContain('the credentials of a store have changed'));
    await account.put('db', 'third');
    await other.send(labelUpdated('db'));
    await within(20_000, () => opened.expectData('one', { A: 'third' }));

    // The service no longer reads from the first queue.
    expect(await queue.size()).toBe(1);
    const start = performance.now();
    const { code } = await served.stop();
    expect(code).toBe(0);
    expect(performance.now() - start).toBeLessThan(5_000);
  });
});
