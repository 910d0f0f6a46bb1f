import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { labelUpdated, viaSns } from '../../events/aws-events.ts';
import { createQueue, NO_SQS } from '../events/queue.ts';
import { openAccount, REGION } from '../providers/aws-harness.ts';
import { type ServiceProcess, within } from '../service/service-process.ts';
import { base64, openWorld } from '../service/world.ts';
import { localstack } from '../services/inject.ts';
import { startRedis } from '../services/redis.ts';
import { createRandom } from './random.ts';

const KEYS = Array.from({ length: 20 }, (_, n) => `k${n}`);
const ROTATIONS = 200;
const REFRESH_S = 30;

/** Starts two replicas on one Redis and one event queue. Each key has two targets. */
async function open() {
  await using stack = new AsyncDisposableStack();
  const redis = await startRedis();
  stack.defer(() => redis.stop());
  const account = stack.use(openAccount());
  const queue = stack.use(await createQueue(account.account, { VisibilityTimeout: '2' }));
  const world = stack.use(
    await openWorld({
      redisUrl: redis.address,
      postgres: true,
      scope: 'namespace',
      granted: false,
      config: ({ ns }) => `  - name: aws
    kind: aws-secrets-manager
    region: ${REGION}
    endpoint: ${localstack().address}
    freshness: strict
    auth: { method: static, accessKeyId: { file: ./key-id }, secretAccessKey: { file: ./secret-key } }
events: { sqs: [ { name: eu, queueUrl: '${queue.url}', store: aws } ] }
defaults: { refresh: ${REFRESH_S}s }
mappings:
${KEYS.flatMap((key) =>
  ['a', 'b'].map(
    (copy) =>
      `  - { name: ${key}-${copy}, target: { namespace: ${ns('apps')} }, data: { A: { store: aws, key: ${key} } } }\n`,
  ),
).join('')}`,
    }),
  );
  await writeFile(join(world.folder, 'key-id'), account.account, { mode: 0o600 });
  await writeFile(join(world.folder, 'secret-key'), 'x', { mode: 0o600 });
  await world.grant();
  const owned = stack.move();
  return { account, queue, world, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const sumOf = async (replicas: readonly ServiceProcess[], series: string) => {
  const counts = await Promise.all(replicas.map((replica) => replica.metric(series)));
  return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
};

describe('events through SQS to two replicas', () => {
  it('both replicas reach the same state within one sweep and write nothing twice, even if events are lost, duplicated or reordered and a replica is killed', {
    timeout: 240_000,
  }, async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    await using setup = await open();
    const { account, queue, world } = setup;
    const random = createRandom(11);
    const current = new Map<string, string>();
    const rotate = async (key: string, value: string) => {
      await account.put(key, value);
      current.set(key, value);
    };
    for (const key of KEYS) await rotate(key, 'v0');
    await using a = await world.replica('a');
    await using b = await world.replica('b');
    const expectCurrent = async () => {
      for (const key of KEYS)
        for (const copy of ['a', 'b']) {
          const actual = (await world.secret(`${key}-${copy}`))?.data?.A;
          expect([key, copy, actual]).toEqual([key, copy, base64(current.get(key) ?? '')]);
        }
    };
    await within(60_000, expectCurrent);

    const pendingEvents: string[] = [];
    for (let n = 1; n <= ROTATIONS; n += 1) {
      const key = KEYS[Math.floor(random() * KEYS.length)] ?? '';
      await rotate(key, `v${n}`);
      const chance = random();
      for (let copy = 0; copy < (chance < 0.1 ? 0 : chance < 0.2 ? 2 : 1); copy += 1) pendingEvents.push(key);
      // Sends a random pending event, to change the order of events.
      while (pendingEvents.length > 5) {
        const [next = ''] = pendingEvents.splice(Math.floor(random() * pendingEvents.length), 1);
        const event = labelUpdated(next);
        await queue.send(random() < 0.3 ? viaSns(event) : event);
      }
      if (n === ROTATIONS / 2) b.kill('SIGKILL');
    }
    for (const key of pendingEvents) await queue.send(labelUpdated(key));
    const elapsedMs = await within((REFRESH_S * 1.1 + 15) * 1_000, expectCurrent);

    const records = await world.records();
    const byEvents = records.filter(
      ({ actor, action, phase }) => actor.name === 'eu' && action === 'update' && phase === 'outcome',
    );
    expect(byEvents.length).toBeGreaterThan(ROTATIONS / 4);
    // Each write of a target must contain another version of its key.
    for (const [target, targetRecords] of Map.groupBy(
      records.filter(({ action, phase }) => /create|update/.test(action) && phase === 'outcome'),
      ({ secret }) => secret,
    )) {
      const versions = targetRecords.map(({ sources }) => sources[0]?.version);
      expect([target, new Set(versions).size]).toEqual([target, versions.length]);
    }
    const writes = await world.writes();
    await within(20_000, async () => expect(await queue.size()).toBe(0));
    console.log(
      `${ROTATIONS} rotations: ${byEvents.length} updates by events, ${writes.length - 2 * KEYS.length} in all; all synced ${elapsedMs} ms after the last; hints ${await sumOf([a], 'secretbridge_events_total{intake="eu",outcome="taken"}')} by the remaining replica`,
    );
  });
});
