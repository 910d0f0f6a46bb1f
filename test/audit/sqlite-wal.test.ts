import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openWriter } from '../../src/audit/sqlite-file.ts';
import { openWalSync } from '../../src/audit/sqlite-wal.ts';
import { temporaryFolder } from './folder.ts';

type Disk = Pick<FileHandle, 'datasync' | 'close'>;

/** A writer whose disk does what the test says; `asked` is told of each sync. */
async function openOn(disk: { datasync: (real: Disk) => Promise<void> }) {
  await using stack = new AsyncDisposableStack();
  const folder = stack.use(await temporaryFolder());
  const path = join(folder.path, 'audit.db');
  const opened: string[] = [];
  const openFile = async (name: string, flags: string): Promise<Disk> => {
    opened.push(name);
    const real = await open(name, flags);
    return { datasync: () => disk.datasync(real), close: () => real.close() };
  };
  const file = await openWriter(path, 60, (db, real) => openWalSync(db, real, openFile));
  stack.defer(() => file.close());
  await file.write((db) => db.exec('create table notes (note text)'));
  const owned = stack.move();
  return {
    path,
    file,
    opened,
    note: (text: string) => file.write((db) => db.prepare('insert into notes values (?)').run(text)),
    notes: () =>
      file.read((db) =>
        db
          .prepare('select note from notes')
          .all()
          .map(({ note }) => note),
      ),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const working = (real: Disk): Promise<void> => real.datasync();

describe('the write-ahead log of an audit file', () => {
  it('is brought to the disk after each write, and before the write resolves', async () => {
    const disk = { datasync: working };
    await using it = await openOn(disk);
    expect(it.opened).toEqual([`${it.path}-wal`]);
    const steps: string[] = [];
    const onDisk = Promise.withResolvers<void>();
    const asked = Promise.withResolvers<void>();
    disk.datasync = async (real) => {
      steps.push(`asked with ${(await it.notes()).join()}`);
      asked.resolve();
      await onDisk.promise;
      await real.datasync();
      steps.push('on disk');
    };
    const written = it.note('a').then(() => steps.push('written'));
    await asked.promise;
    expect(steps).toEqual(['asked with a']);
    onDisk.resolve();
    await written;
    expect(steps).toEqual(['asked with a', 'on disk', 'written']);
  });

  it('of which the disk was in doubt goes into the database before anything follows', async () => {
    const disk = { datasync: working };
    await using it = await openOn(disk);
    const failure = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    disk.datasync = () => Promise.reject(failure);
    await expect(it.note('a')).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
      message: expect.stringContaining('EIO'),
    });
    let inDatabase: unknown[] = [];
    disk.datasync = async (real) => {
      inDatabase = withoutLog(it.path);
      await real.datasync();
    };
    await it.note('b');
    expect(inDatabase).toEqual(['a']);
    disk.datasync = working;
    await it.note('c');
    expect(await it.notes()).toEqual(['a', 'b', 'c']);
    // Once is enough.
    expect(withoutLog(it.path)).toEqual(['a']);
  });

  it('takes no more while what is in doubt cannot be moved', async () => {
    const disk = { datasync: working };
    await using it = await openOn(disk);
    await it.note('a');
    using reader = openReader(it.path);
    disk.datasync = () => Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' }));
    await expect(it.note('b')).rejects.toMatchObject({ code: 'AUDIT_UNAVAILABLE' });
    disk.datasync = working;
    for (const text of ['c', 'd'])
      await expect(it.note(text)).rejects.toMatchObject({
        code: 'AUDIT_UNAVAILABLE',
        message: expect.stringContaining('the disk refused'),
      });
    reader.end();
    await it.note('e');
    expect(await it.notes()).toEqual(['a', 'b', 'e']);
  });

  it('is left to SQLite where there is none', async () => {
    const db = new DatabaseSync(':memory:');
    db.exec('pragma synchronous = full');
    expect(await openWalSync(db, ':memory:')).toBeUndefined();
    expect(db.prepare('pragma synchronous').get()).toEqual({ synchronous: 2 });
    db.close();
  });

  it('that cannot be opened fails the opening of the file', async () => {
    await using folder = await temporaryFolder();
    const refused = () => Promise.reject(Object.assign(new Error('EMFILE'), { code: 'EMFILE' }));
    const opening = openWriter(join(folder.path, 'audit.db'), 60, (db, path) =>
      openWalSync(db, path, refused),
    );
    await expect(opening).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
      message: expect.stringContaining('EMFILE'),
    });
  });
});

/** What is in the database itself. */
function withoutLog(path: string): unknown[] {
  const url = pathToFileURL(path);
  url.search = 'immutable=1';
  using db = new DatabaseSync(url, { readOnly: true });
  return db
    .prepare('select note from notes')
    .all()
    .map(({ note }) => note);
}

/** A connection in the midst of reading what is there now. */
function openReader(path: string) {
  const db = new DatabaseSync(path, { readOnly: true });
  db.exec('begin');
  db.prepare('select count(*) from notes').get();
  return {
    end: () => db.exec('rollback'),
    [Symbol.dispose]: () => db.close(),
  };
}
