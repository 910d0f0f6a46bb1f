import { Queue } from 'bullmq';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { AuditRecord } from '../../../src/audit/entry.ts';
import { type ServiceProcess, within } from '../../integration/service/service-process.ts';
import { base64, openWorld, type World } from '../../integration/service/world.ts';
import { type RedisServer, startRedis } from '../../integration/services/redis.ts';

const MAX_RECORD_BYTES = 64 * 1_024;
const sizeOf = (record: AuditRecord): number => Buffer.byteLength(JSON.stringify(record));

interface Scene extends AsyncDisposable {
  readonly world: World;
  readonly served: ServiceProcess;
  /** Adds a job with any data, as somebody with access to Redis. */
  add(data: unknown, name?: string): Promise<void>;
  /** Sends a message to all replicas. */
  broadcast(topic: string, text: string): Promise<void>;
  readonly subject: string;
}

async function openScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const redis: RedisServer = stack.use(await startRedis());
  const world = stack.use(
    await openWorld({
      config: ({ prefix, ns }) => `defaults: { refresh: 1h }
mappings: [ { name: db, target: { namespace: ${ns('apps')} }, data: { PASSWORD: { store: vault, key: ${prefix}/db, property: password } } } ]
`,
      redisUrl: redis.address,
      postgres: true,
    }),
  );
  await world.vault.put('db', { password: 'first' });
  const served = stack.use(await world.serve());
  await expectValue(world, 'first');
  // The prefix in Redis contains the suffix of the namespaces.
  const prefix = `{${world.ns('').slice(1)}:service}`;
  const url = new URL(redis.address);
  const queue = new Queue('jobs', { connection: { host: url.hostname, port: Number(url.port) }, prefix });
  stack.defer(() => queue.close());
  const owned = stack.move();
  return {
    world,
    served,
    subject: `target/${world.ns('apps')}/db`,
    async broadcast(topic, text) {
      const fields = ['event', 'message', 'topic', topic, 'text', text];
      await redis.command('XADD', `${prefix}:broadcast:events`, '*', ...fields);
    },
    async add(data, name = 'run') {
      await queue.add(name, data, { priority: 1, removeOnComplete: true });
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function expectValue(world: World, password: string): Promise<void> {
  await within(20_000, async () => expect((await world.secret('db'))?.data?.PASSWORD).toBe(base64(password)));
}

const changesOf = async (world: World): Promise<readonly AuditRecord[]> =>
  (await world.records()).filter(({ action, phase }) => action === 'update' && phase === 'outcome');

it('a forged job with a huge request id leaves records of normal size, with another request id', async () => {
  await using scene = await openScene();
  const { world, add, subject } = scene;
  await world.vault.put('db', { password: 'second' });
  await add({ subject, reason: 'manual', requestId: 'x'.repeat(20_000_000) });
  await expectValue(world, 'second');
  await within(10_000, async () => expect(await changesOf(world)).toHaveLength(1));
  for (const record of await world.records()) {
    expect(sizeOf(record)).toBeLessThanOrEqual(MAX_RECORD_BYTES);
    expect(record.requestId).toMatch(/^[A-Za-z0-9._~-]{1,80}$/);
    expect(record.actor).not.toMatchObject({ kind: 'operator' });
  }
});

it('a forged job with the request id of an operator does not make a change theirs', async () => {
  await using scene = await openScene();
  const { world, served, add, subject } = scene;
  const answer = await served.send('POST', '/api/v1/mappings/db/sync', world.tokens.ann);
  const { requestId } = JSON.parse(answer.text);
  // A sync of Ann that changes something is hers.
  await world.vault.put('db', { password: 'second' });
  await served.send('POST', '/api/v1/mappings/db/sync', world.tokens.ann);
  await expectValue(world, 'second');
  await within(10_000, async () => expect(await changesOf(world)).toHaveLength(1));
  expect((await changesOf(world))[0]?.actor).toMatchObject({ kind: 'operator', name: 'ann' });
  const hers = (await changesOf(world))[0]?.requestId;

  await world.vault.put('db', { password: 'third' });
  await add({ subject, reason: 'manual', requestId: hers });
  await expectValue(world, 'third');
  await within(10_000, async () => expect(await changesOf(world)).toHaveLength(2));
  expect((await changesOf(world))[1]?.actor).toEqual({ kind: 'schedule' });
  expect(requestId).not.toBe(hers);
});

it('300 random jobs and broadcasts cause no write to the cluster, and no record in a name of a person', {
  tags: ['long'],
  timeout: 300_000,
}, async () => {
  await using scene = await openScene();
  const { world, served, add, subject, broadcast } = scene;
  await served.send('POST', '/api/v1/mappings/db/sync', world.tokens.ann);
  const [writes, records] = [await world.writes(), await world.records()];
  const seed = Number(process.env.SECRETBRIDGE_TEST_SEED ?? Date.now() % 1_000_000_000);
  console.log(`random messages with seed ${seed}`);
  const ids = fc.oneof(fc.string(), fc.constantFrom(...records.map(({ requestId }) => requestId)));
  const subjects = fc.oneof(
    fc.string(),
    fc.constantFrom(subject, 'destroy', 'left', 'restart', 'target/a/b'),
  );
  const reasons = fc.constantFrom('manual', 'first', 'event', 'drift', 'sweep', 'other');
  const job = fc.record({ subject: subjects, reason: reasons, requestId: ids });
  const state = fc.record({
    ...{ mapping: fc.constantFrom('db', 'other'), requestId: ids, startedAt: fc.nat(), endedAt: fc.nat() },
    ...{ target: fc.constant({ namespace: world.ns('apps'), secret: 'db' }), keys: fc.constant([]) },
    ...{ kind: fc.constantFrom('created', 'deleted', 'held', 'failed'), failures: fc.nat(9) },
    ...{ alive: fc.boolean(), proposed: fc.boolean(), person: fc.boolean(), pinned: fc.nat(9) },
  });
  for (const data of fc.sample(job, { numRuns: 150, seed })) await add(data);
  for (const message of fc.sample(state, { numRuns: 150, seed }))
    await broadcast(`t/${message.mapping}/${world.ns('apps')}/db`, JSON.stringify(message));
  // A job after all others shows that they were taken.
  await world.vault.put('db', { password: 'second' });
  await served.send('POST', '/api/v1/mappings/db/sync', world.tokens.ann);
  await expectValue(world, 'second');
  expect(await world.writes()).toHaveLength(writes.length + 1);
  for (const record of (await world.records()).slice(records.length)) {
    expect(sizeOf(record)).toBeLessThanOrEqual(MAX_RECORD_BYTES);
    if (record.actor.kind === 'operator') expect(record.actor.name).toBe('ann');
  }
});

it('job data of any shape does no harm', async () => {
  await using scene = await openScene();
  const { world, served, add, subject } = scene;
  const writes = (await world.writes()).length;
  const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`);
  const requestId = '\u0000\u2028<script>';
  for (const data of [
    ...[null, 1, 'text', [], {}, { subject }, deep, { subject: deep, reason: deep, requestId: deep }],
    ...[{ subject: 'x'.repeat(5_000_000), reason: 'manual', requestId: 'a' }],
    ...[
      { subject, reason: 'constructor', requestId },
      { subject, reason: '__proto__', requestId: 'b' },
    ],
    ...['destroy', 'left', 'restart', 'sweep/vault/1/0/1', 'target/kube-system/x'].map((other) => ({
      ...{ subject: other, reason: 'manual', requestId },
    })),
  ])
    for (const name of ['run', 'wake', 'other']) await add(data, name);
  await world.vault.put('db', { password: 'second' });
  const answer = await served.send('POST', '/api/v1/mappings/db/sync', world.tokens.ann);
  expect(answer.status, answer.text).toBe(200);
  await expectValue(world, 'second');
  expect((await world.writes()).length).toBe(writes + 1);
  for (const record of await world.records()) expect(sizeOf(record)).toBeLessThanOrEqual(MAX_RECORD_BYTES);
});
