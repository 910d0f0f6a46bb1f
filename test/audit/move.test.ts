import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import type { MovableAudit } from '../../src/audit/move/movable-audit.ts';
import { moveAudit } from '../../src/audit/move/move.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { tickingClock } from '../conformance/audit-store.ts';
import { temporaryFolder } from './folder.ts';
import { bare, entry } from './sample.ts';

const UNAVAILABLE = { code: 'AUDIT_UNAVAILABLE' };

async function setUp() {
  const folder = await temporaryFolder();
  const open = (name: string, readOnly = false): Promise<MovableAudit> =>
    openSqliteAudit({
      path: join(folder.path, name),
      instance: 'test',
      replica: `${name}-${readOnly}`,
      clock: tickingClock(),
      readOnly,
    });
  return {
    open,
    /** Fills a log with reviews, an unresolved intent and pruned records, and closes it. */
    async fill(records: number): Promise<void> {
      await using store = await open('from.db');
      await store.append([entry({ phase: 'intent', secret: 'crashed' }), entry({ action: 'create' })]);
      const pruned = await store.append([entry({ action: 'create', secret: 'old' }), entry()]);
      await store.append(Array.from({ length: records - 6 }, (_, n) => entry({ attempt: n + 1 })));
      await store.append([bare({ action: 'review', review: { sequence: 6, state: 'flagged' } }), entry()]);
      await store.prune(pruned[1] ?? expect.fail());
    },
    tamper(name: string, sql: string): void {
      const database = new DatabaseSync(join(folder.path, name));
      database.exec(sql);
      database.close();
    },
    bytes: (name: string) =>
      createHash('sha256')
        .update(readFileSync(join(folder.path, name)))
        .digest('hex'),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

describe('moveAudit', () => {
  it('moveAudit copies the chain, its base, the reviews, the unresolved intents and the retained records', async () => {
    await using logs = await setUp();
    await logs.fill(1300);
    const before = logs.bytes('from.db');
    await using source = await logs.open('from.db', true);
    await using target = await logs.open('to.db');
    const steps: string[] = [];
    const onProgress = (done: number, total: number, what: string) => steps.push(`${what} ${done}/${total}`);
    expect(await moveAudit(source, target, { onProgress })).toEqual({
      kind: 'moved',
      records: 1296,
      head: await source.head(),
      resumed: false,
    });
    expect(steps).toEqual([
      'copied 500/1296',
      'copied 1000/1296',
      'copied 1296/1296',
      'verified 500/1296',
      'verified 1000/1296',
      'verified 1296/1296',
    ]);
    expect(await target.base()).toEqual(await source.base());
    expect((await target.targets()).map(({ secret }) => secret).sort()).toEqual([
      'crashed',
      'old',
      'payments-db',
    ]);
    expect(await target.latest({ secret: 'old' }, ['create'])).toMatchObject({ sequence: 3 });
    expect((await target.unresolvedIntents()).map(({ sequence }) => sequence)).toEqual([1]);
    expect([...(await target.reviews([5, 6])).keys()]).toEqual([6]);
    expect(await Array.fromAsync(target.retainedRecords())).toEqual(
      await Array.fromAsync(source.retainedRecords()),
    );
    await target.append([entry()]);
    expect(await verify(target.storedRecords(1), { after: await target.base() })).toMatchObject({
      records: 1297,
    });
    expect(logs.bytes('from.db')).toBe(before);
  });

  it('moveAudit continues after an interruption, and blocks other writes to both stores until the move is complete', async () => {
    await using logs = await setUp();
    await logs.fill(1800);
    await using source = await logs.open('from.db', true);
    {
      await using target = await logs.open('to.db');
      const stop = new AbortController();
      const onProgress = () => stop.abort();
      const options = { onProgress, signal: stop.signal };
      await expect(moveAudit(source, target, options)).rejects.toMatchObject({ name: 'AbortError' });
      expect(await target.head()).toMatchObject({ sequence: 504 });
      await expect(target.append([entry()])).rejects.toMatchObject({
        ...UNAVAILABLE,
        message: expect.stringContaining('being moved into it'),
      });
    }
    await using target = await logs.open('to.db');
    expect(await moveAudit(source, target)).toMatchObject({ kind: 'moved', records: 1796, resumed: true });
    expect(await moveAudit(source, target)).toMatchObject({ kind: 'refused' });
  });

  it('moveAudit names the target store in the error, not the source store, if moved records were altered in the target', async () => {
    await using logs = await setUp();
    await logs.fill(1800);
    await using source = await logs.open('from.db', true);
    const stop = new AbortController();
    {
      await using target = await logs.open('to.db');
      const options = { onProgress: () => stop.abort(), signal: stop.signal };
      await expect(moveAudit(source, target, options)).rejects.toMatchObject({ name: 'AbortError' });
    }
    logs.tamper('to.db', `update records set record = replace(record, 'ok', 'failed') where sequence = 9`);
    await using target = await logs.open('to.db');
    expect(await moveAudit(source, target)).toEqual({
      kind: 'refused',
      reason: `records that were moved into ${target.address} were altered there (edited at record 9): start with an empty store`,
    });
  });

  it('moveAudit refuses a source or target to which another process writes, and a target that contains part of another log', async () => {
    await using logs = await setUp();
    await logs.fill(10);
    await using source = await logs.open('from.db', true);
    const refused = (reason: string) => ({ kind: 'refused', reason: expect.stringContaining(reason) });
    {
      await using target = await logs.open('to.db');
      await target.append([entry()]);
      expect(await moveAudit(source, target)).toMatchObject(refused('is not empty: it ends with record 1'));
    }
    await using target = await logs.open('empty.db');
    {
      await using _writer = await logs.open('from.db');
      expect(await moveAudit(source, target)).toMatchObject(refused('a process writes to'));
    }
    expect(await target.moveSource()).toBeUndefined();
    await using other = await logs.open('other.db');
    await other.append([entry()]);
    const [first] = await Array.fromAsync(other.storedRecords(1));
    await target.setMoveSource('other.db');
    await target.importRecords(first === undefined ? [] : [first], await other.base());
    expect(await moveAudit(source, target)).toMatchObject(refused('a part of another log'));
    expect(await moveAudit(target, other)).toMatchObject(refused('is not finished'));
  });

  it('moveAudit refuses the move if another process wrote to the source meanwhile, and a second call completes the move', async () => {
    await using logs = await setUp();
    await logs.fill(600);
    await using source = await logs.open('from.db', true);
    await using target = await logs.open('to.db');
    let written: Promise<void> | undefined;
    async function write(): Promise<void> {
      await using store = await logs.open('from.db');
      await store.append([entry()]);
    }
    const slow: MovableAudit = {
      ...source,
      async *storedRecords(from) {
        written ??= write();
        await written;
        yield* source.storedRecords(from);
      },
    };
    expect(await moveAudit(slow, target)).toMatchObject({ kind: 'refused' });
    expect(await moveAudit(source, target)).toMatchObject({ kind: 'moved', records: 597, resumed: true });
  });
});
