import { readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { temporaryFolder } from './folder.ts';
import { entry } from './sample.ts';

const common = { instance: 'test', replica: 'a', clock: systemClock };

function unavailable(reason: string, path: string) {
  return {
    code: 'AUDIT_UNAVAILABLE',
    message: expect.stringMatching(new RegExp(`audit store ${path}: .*${reason}`)),
  };
}

async function filled(path: string): Promise<void> {
  await using store = await openSqliteAudit({ ...common, path });
  await store.append([entry(), entry()]);
}

describe('new audit file', () => {
  it('a new audit file, its folders and its side files are accessible only to their owner', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'state', 'deep', 'audit.db');
    await using _ = await openSqliteAudit({ ...common, path });
    const modes = await Promise.all(
      [path, `${path}-wal`, `${path}-shm`, join(folder.path, 'state'), `${path}.replicas`].map(async (name) =>
        ((await stat(name)).mode & 0o777).toString(8),
      ),
    );
    expect(modes).toEqual(['600', '600', '600', '700', '700']);
  });

  it('a new audit file may have a name with characters that are special in URLs', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'a b?mode=memory#x%20é.db');
    await filled(path);
    await using store = await openSqliteAudit({ ...common, path, readOnly: true });
    expect(await store.head()).toMatchObject({ sequence: 2 });
    expect((await readdir(folder.path)).filter((name) => name.endsWith('.db'))).toHaveLength(1);
  });

  it('a new audit file consists of a single file after a clean shutdown', async () => {
    await using folder = await temporaryFolder();
    await filled(join(folder.path, 'audit.db'));
    expect((await readdir(folder.path, { recursive: true })).sort()).toEqual([
      'audit.db',
      'audit.db.replicas',
    ]);
  });
});

it('an audit file is locked and read as a single file, even if it is opened under several path names', async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, 'audit.db');
  const link = join(folder.path, 'link.db');
  await filled(path);
  await symlink(path, link);
  await using running = await openSqliteAudit({ ...common, path: link, replica: 'running' });
  await running.append([entry({ phase: 'intent', requestId: 'x' })]);
  await using other = await openSqliteAudit({ ...common, path, replica: 'other' });
  expect(await other.unresolvedIntents()).toEqual([]);
  await using reader = await openSqliteAudit({ ...common, path: link, readOnly: true });
  expect(await reader.list({}, { limit: 5 })).toHaveLength(3);
  const [held, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const turns: string[] = [];
  const first = running.exclusively('destroy', async () => {
    held.resolve();
    await ended.promise;
    turns.push('first');
  });
  await held.promise;
  const second = other.exclusively('destroy', async () => void turns.push('second'));
  // This append takes a long time. Without the lock, the second task would start before the append ends.
  await other.append([entry()]);
  ended.resolve();
  await Promise.all([first, second]);
  expect(turns).toEqual(['first', 'second']);
});

describe('unusable audit file', () => {
  it('an audit file is refused if its path is a folder', async () => {
    await using folder = await temporaryFolder();
    await expect(openSqliteAudit({ ...common, path: folder.path })).rejects.toMatchObject(
      unavailable('cannot be opened', folder.path),
    );
    for (const readOnly of [false, true])
      await expect(openSqliteAudit({ ...common, path: folder.path, readOnly })).rejects.toMatchObject({
        ...unavailable('it is a folder', folder.path),
        isTransient: false,
        remedy: expect.stringContaining('`audit.store`'),
      });
  });

  it('an audit file is refused if its path leads through a regular file', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'file', 'audit.db');
    await writeFile(join(folder.path, 'file'), '');
    await expect(openSqliteAudit({ ...common, path })).rejects.toMatchObject(
      unavailable('not a folder', path),
    );
  });

  it('an audit file is refused if its folder cannot be created', async () => {
    const path = '/proc/secretbridge/audit.db';
    await expect(openSqliteAudit({ ...common, path })).rejects.toMatchObject(
      unavailable('no such file or folder', path),
    );
  });

  it('an audit file is refused and left unchanged if it is not a database', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await writeFile(path, 'plain text that is long enough to look like the header of a database file');
    const before = await stat(path);
    await expect(openSqliteAudit({ ...common, path })).rejects.toMatchObject({
      ...unavailable('not a SQLite database', path),
      isTransient: false,
    });
    expect(await stat(path)).toMatchObject({ size: before.size, mtimeMs: before.mtimeMs });
    expect(await readdir(folder.path)).toEqual(['audit.db']);
  });

  it('an audit file is refused and left unchanged if it belongs to another program', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    const db = new DatabaseSync(path);
    db.exec('create table letters (text)');
    db.close();
    const before = await stat(path);
    await expect(openSqliteAudit({ ...common, path })).rejects.toMatchObject(
      unavailable('of another program', path),
    );
    expect(await stat(path)).toMatchObject({ size: before.size, mtimeMs: before.mtimeMs });
  });

  it.each([
    [99, 'newer release'],
    [1, 'its schema 1 is unknown'],
  ])('an audit file is refused if it has schema %i', async (version, reason) => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await filled(path);
    change(path, `pragma user_version = ${version}`);
    for (const readOnly of [false, true])
      await expect(openSqliteAudit({ ...common, path, readOnly })).rejects.toMatchObject(
        unavailable(reason, path),
      );
  });

  it('a check for write access writes to the audit file, because only a write detects a full disk', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await using store = await openSqliteAudit({ ...common, path });
    await store.append([entry()]);
    const { size } = await stat(`${path}-wal`);
    await store.checkWritable();
    expect((await stat(`${path}-wal`)).size).toBeGreaterThan(size);
  });

  it('an audit file gets no more writes after somebody removed or replaced the file', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await using store = await openSqliteAudit({ ...common, path });
    await store.append([entry()]);
    await rename(path, `${path}.old`);
    await expect(store.append([entry()])).rejects.toMatchObject(unavailable('no such file or folder', path));
    await expect(store.checkWritable()).rejects.toMatchObject(unavailable('no such file or folder', path));
    await writeFile(path, '');
    await expect(store.checkWritable()).rejects.toMatchObject(unavailable('removed or replaced', path));
    await expect(store.append([entry()])).rejects.toMatchObject(unavailable('removed or replaced', path));
    await rm(path);
    await rename(`${path}.old`, path);
    expect(await store.append([entry()])).toMatchObject([{ sequence: 2 }]);
  });

  it('an audit file rejects appends if its head does not match its last record', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await filled(path);
    change(path, 'update head set sequence = 1');
    await using store = await openSqliteAudit({ ...common, path });
    await expect(store.append([entry()])).rejects.toMatchObject(unavailable('changed from outside', path));
  });

  it('an audit file with one damaged record still returns all other records, and verification names the damaged record', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await filled(path);
    change(path, `update records set record = '{"sequence":' where sequence = 2`);
    await using store = await openSqliteAudit({ ...common, path });
    await expect(store.get(2)).rejects.toMatchObject({
      ...unavailable('damaged', path),
      // The remedy must point to verification, not to permissions or disk space.
      remedy: expect.stringContaining('secretbridge audit verify'),
    });
    expect(await store.get(1)).toMatchObject({ sequence: 1 });
    expect(await Array.fromAsync(store.storedRecords(1))).toHaveLength(2);
  });
});

describe('read-only audit file', () => {
  it('a read-only audit file is not created if it does not exist', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await expect(openSqliteAudit({ ...common, path, readOnly: true })).rejects.toMatchObject(
      unavailable('no such file or folder', path),
    );
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('a read-only audit file is refused if it does not contain an audit log', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await writeFile(path, '');
    await expect(openSqliteAudit({ ...common, path, readOnly: true })).rejects.toMatchObject(
      unavailable('holds no audit log yet', path),
    );
    expect((await stat(path)).size).toBe(0);
  });

  it('a read-only audit file rejects appends and creates no files', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await filled(path);
    const before = await stat(path);
    {
      await using reader = await openSqliteAudit({ ...common, path, readOnly: true });
      expect(await reader.list({}, { limit: 5 })).toHaveLength(2);
      await expect(reader.append([entry()])).rejects.toMatchObject(unavailable('reading only', path));
      await expect(reader.unresolvedIntents()).rejects.toMatchObject(unavailable('reading only', path));
    }
    expect((await readdir(folder.path)).sort()).toEqual(['audit.db', 'audit.db.replicas']);
    expect(await stat(path)).toMatchObject({ mtimeMs: before.mtimeMs, size: before.size });
  });

  it('a read-only audit file shows the records of other processes, even of processes that start after the file was opened', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await filled(path);
    await using reader = await openSqliteAudit({ ...common, path, readOnly: true });
    expect(await reader.list({}, { limit: 5 })).toHaveLength(2);
    {
      await using writer = await openSqliteAudit({ ...common, path, replica: 'b' });
      await writer.append([entry()]);
      expect(await reader.list({}, { limit: 5 })).toHaveLength(3);
    }
    expect(await reader.list({}, { limit: 5 })).toHaveLength(3);
  });
});

/** Changes the file as another program could. */
function change(path: string, sql: string): void {
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
}
