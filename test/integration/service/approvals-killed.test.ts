import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../../src/audit/entry.ts';
import { tryLock } from '../../../src/audit/sqlite/lock.ts';
import { openIntents } from '../e2e/bench.ts';
import { watchSecrets } from '../e2e/witness.ts';
import { kubernetes } from '../services/inject.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { openTcpGate } from './tcp-gate.ts';
import { openWorld, type World, type WorldOptions } from './world.ts';

// An approved release on real servers, interrupted by `kill -9` and by an outage. The Secret is deleted once, and the
// approval is used once.

const config: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 2s }
absence: { readings: 2, over: 1s }
approvals: [ { actions: [release], approvers: { roles: [reviewer] }, within: 1h } ]
mappings:
  - name: app
    target: { namespace: ${ns('apps')} }
    onSourceMissing: delete
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
`;

interface Scene extends AsyncDisposable {
  readonly world: World;
  /** The service with a request that waits for its approval. */
  readonly served: ServiceProcess;
  readonly id: string;
}

async function openRequested(options: Partial<WorldOptions> = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await openWorld({ config, scope: 'namespace', ...options }));
  await world.vault.put('app', { a: 'first' });
  const served = stack.use(await world.serve());
  await within(15_000, async () => expect(await served.target('app')).toMatchObject({ state: 'synced' }));
  await world.vault.remove('app');
  await within(20_000, async () => expect((await served.status()).held).toHaveLength(1));
  const [held] = (await served.status()).held;
  const answer = await served.send('POST', `/api/v1/held/${held?.id}/release`);
  const { code, requests } = JSON.parse(answer.text) as { code: string; requests: readonly string[] };
  expect(code, answer.text).toBe('APPROVAL_NEEDED');
  const owned = stack.move();
  return { world, served, id: requests[0] ?? '', [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const approve = ({ world, served, id }: Scene) =>
  served.send('POST', `/api/v1/approvals/${id}/approve`, world.tokens.rev);

const states = async (served: ServiceProcess) =>
  (
    JSON.parse((await served.get('/api/v1/approvals')).text) as { approvals: { state: string }[] }
  ).approvals.map(({ state }) => state);

/** Lets no process delete anything until it is disposed. */
async function holdDeletions({ folder }: World): Promise<Disposable> {
  let lock: ReturnType<typeof tryLock>;
  await within(10_000, () => {
    lock = tryLock(join(folder, 'state', 'audit.db.destroy.lock'));
    expect(lock).toBeDefined();
  });
  return { [Symbol.dispose]: () => lock?.close() };
}

/** Waits until the service has accepted the release. It waits for the lock then. */
async function accepted({ world }: Scene): Promise<void> {
  const isRelease = ({ action, note }: AuditRecord) =>
    action === 'command' && note?.startsWith('release') === true;
  await within(15_000, async () =>
    expect((await world.records()).findLast(isRelease)).toMatchObject({ outcome: 'ok' }),
  );
}

/** Starts the service again, and expects that it carries out the action once. */
async function expectCarriedOutOnce({ world }: Scene): Promise<void> {
  await using served = await world.serve();
  await within(60_000, async () => expect(await world.secret('app')).toBeUndefined());
  await within(30_000, async () => expect(openIntents(await world.records())).toEqual([]));
  await within(30_000, async () => expect(await states(served)).toEqual([]));
  expect((await served.stop()).code).toBe(0);
  const records = await world.records();
  expect(records.filter(({ action }) => action === 'approve')).toHaveLength(1);
  const deletions = records.filter(({ action, phase }) => action === 'delete' && phase === 'outcome');
  expect(deletions.filter(({ outcome }) => outcome === 'ok')).toMatchObject([
    { secret: 'app', approval: expect.any(Number) },
  ]);
  await within(5_000, async () =>
    expect((await world.writes()).filter((write) => write.startsWith('delete '))).toHaveLength(1),
  );
  expect(await world.chain()).toMatchObject({ kind: 'intact' });
}

describe('an approved release', () => {
  it('is carried out after `kill -9` between the approval and the deletion', async () => {
    await using scene = await openRequested();
    const { world, served } = scene;
    {
      using _ = await holdDeletions(world);
      const approving = approve(scene).catch(() => undefined);
      await accepted(scene);
      served.kill('SIGKILL');
      await Promise.all([served.ended, approving]);
    }
    expect(await world.secret('app')).toBeDefined();
    await expectCarriedOutOnce(scene);
  }, 180_000);

  it('is carried out after `kill -9` while the request to delete is on its way', {
    tags: ['long'],
    timeout: 180_000,
  }, async () => {
    await using gate = await openTcpGate(kubernetes().address);
    await using scene = await openRequested({ apiAddress: gate.address });
    const { world, served } = scene;
    const deleting = await holdDeletions(world);
    const approving = approve(scene).catch(() => undefined);
    await accepted(scene);
    gate.disconnect();
    deleting[Symbol.dispose]();
    await within(15_000, async () =>
      expect((await world.records()).findLast(({ action }) => action === 'delete')).toMatchObject({
        phase: 'intent',
        approval: expect.any(Number),
      }),
    );
    served.kill('SIGKILL');
    await Promise.all([served.ended, approving]);
    gate.restore();
    expect(await world.secret('app')).toBeDefined();
    await expectCarriedOutOnce(scene);
  });

  it('is not carried out again after `kill -9` at the moment of the deletion', async () => {
    await using scene = await openRequested();
    const { world, served } = scene;
    await using witness = await watchSecrets(kubernetes(), world.ns('apps'));
    witness.onChange = () => served.kill('SIGKILL');
    await approve(scene).catch(() => undefined);
    await served.ended;
    expect(await world.secret('app')).toBeUndefined();
    await expectCarriedOutOnce(scene);
  }, 180_000);

  it('keeps its approval while the API server is away', { tags: ['long'], timeout: 180_000 }, async () => {
    await using gate = await openTcpGate(kubernetes().address);
    await using scene = await openRequested({ apiAddress: gate.address });
    const { world, served } = scene;
    gate.disconnect();
    expect((await approve(scene)).status).toBe(503);
    expect(await states(served)).toEqual(['approved']);
    gate.restore();
    await within(90_000, async () => expect(await world.secret('app')).toBeUndefined());
    await served.stop();
    await expectCarriedOutOnce(scene);
  });
});
