import { chmod, copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import { temporaryFolder } from './folder.ts';
import { runChild } from './run-child.ts';
import { entry } from './sample.ts';

async function filled(path: string): Promise<void> {
  await using store = await openSqliteAudit({ instance: 'test', replica: 'a', clock: systemClock, path });
  await store.append([entry(), entry()]);
}

describe('audit file in a read-only folder', () => {
  it('an audit file in a read-only folder cannot be opened with write access', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await filled(path);
    await chmod(path, 0o444);
    await chmod(folder.path, 0o555);
    await using child = runChild(['open', path, 'b']);
    expect(JSON.parse(await child.line())).toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
      message: expect.stringMatching(/read-only|denied/),
    });
    await chmod(folder.path, 0o755);
  });

  it('an audit file in a read-only folder can be opened with read access, even under another path name', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'audit.db');
    await filled(path);
    const archive = join(folder.path, 'archive');
    await mkdir(archive);
    await copyFile(path, join(archive, 'old.db'));
    await symlink(join(archive, 'old.db'), join(archive, 'link.db'));
    await Promise.all([
      chmod(folder.path, 0o755),
      chmod(join(archive, 'old.db'), 0o444),
      chmod(archive, 0o555),
    ]);
    for (const name of ['old.db', 'link.db']) {
      await using child = runChild(['open', join(archive, name), 'x', 'readOnly']);
      expect(JSON.parse(await child.line())).toEqual({ records: 2 });
    }
    await chmod(archive, 0o755);
  });
});
