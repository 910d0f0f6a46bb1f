import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MovableAudit } from '../../../src/audit/move/movable-audit.ts';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { formatTarget } from '../../../src/core/target.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { runChild } from '../../audit/run-child.ts';
import { bare, entry } from '../../audit/sample.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

/** An empty audit store that several processes can open. */
interface CrashHarness extends AsyncDisposable {
  /** The path of the SQLite file or the URL of the database. */
  readonly address: string;
  open(replica: string): Promise<MovableAudit>;
}

async function openSqlite(): Promise<CrashHarness> {
  const folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  return {
    address: path,
    open: (replica) => openSqliteAudit({ path, instance: 'test', replica, clock: systemClock }),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function openPostgres(): Promise<CrashHarness> {
  const database = await createDatabase(postgres());
  return {
    address: database.url,
    open: async (replica) => (await database.open({ replica })) as MovableAudit,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

async function expectIntact(store: MovableAudit): Promise<void> {
  const after = await store.base();
  expect(await verify(store.storedRecords(1), { after, until: await store.head() })).toMatchObject({
    kind: 'intact',
  });
}

// Kills processes with SIGKILL after different delays, so the kills hit different steps of the audit store.
describe.each([
  ['SQLite', openSqlite, 5],
  ['PostgreSQL', openPostgres, 8],
] as const)('a process crash on %s', (_, openHarness, kills) => {
  it('a crash during appends, reviews or pruning leaves a valid chain', async () => {
    await using harness = await openHarness();
    let acknowledged = 0;
    for (let n = 0; n < kills; n += 1) {
      {
        await using child = runChild(['churn', harness.address, `churn-${n}`]);
        expect(await child.line()).toBe('begun');
        for (let round = 0; round < 2; round += 1) acknowledged = Number(await child.line());
        await new Promise((resolve) => setTimeout(resolve, (n * 7) % 40));
        await child.kill('SIGKILL');
      }
      await using store = await harness.open(`next-${n}`);
      const head = await store.head();
      expect(head.sequence).toBeGreaterThanOrEqual(acknowledged);
      await expectIntact(store);
      expect((await store.targets()).map(formatTarget).sort()).toEqual(
        expect.arrayContaining(['payments/payments-db', 'payments/s0', 'payments/s1']),
      );
      expect(await store.latest({ secret: 's0' }, ['create'])).toBeDefined();
      // Pruning also deletes the rows that the crash left behind.
      await store.prune(head);
      expect(await store.list({}, { limit: 1 })).toEqual([]);
      await store.append([entry()]);
      await expectIntact(store);
    }
  });

  it('a repeated move copies the complete log if the first move crashed', async () => {
    await using folder = await temporaryFolder();
    await using harness = await openHarness();
    const from = join(folder.path, 'from.db');
    const clock = { now: () => 1_800_000_000_000 };
    const common = { path: from, instance: 'test', clock };
    {
      await using source = await openSqliteAudit({ ...common, replica: 'a' });
      const [first] = await source.append([entry({ secret: 'old' }), entry({ phase: 'intent' })]);
      await source.append(Array.from({ length: 2500 }, (_, n) => entry({ attempt: n + 1 })));
      await source.append([bare({ action: 'review', review: { sequence: 9, state: 'flagged' } })]);
      await source.prune(first ?? expect.fail());
    }
    for (let n = 0; n < kills; n += 1) {
      await using child = runChild(['move', harness.address, `move-${n}`, from]);
      if (!(await child.line()).startsWith('step')) break;
      await new Promise((resolve) => setTimeout(resolve, (n * 5) % 30));
      await child.kill('SIGKILL');
    }
    await using child = runChild(['move', harness.address, 'last', from]);
    let line = '';
    while (!line.startsWith('{')) line = await child.line();
    expect(JSON.parse(line)).toMatchObject({ kind: expect.stringMatching('moved|refused') });
    await using source = await openSqliteAudit({ ...common, replica: 'b', readOnly: true });
    await using target = await harness.open('end');
    expect(await target.moveSource()).toBeUndefined();
    expect(await target.head()).toEqual(await source.head());
    expect(await Array.fromAsync(target.storedRecords(1))).toEqual(
      await Array.fromAsync(source.storedRecords(1)),
    );
    expect(await Array.fromAsync(target.retainedRecords())).toEqual(
      await Array.fromAsync(source.retainedRecords()),
    );
    await target.append([entry()]);
    await expectIntact(target);
  });
});
