import { expect, it } from 'vitest';
import { unavailable } from '../../src/audit/sqlite/errors.ts';

it.each([
  [13, 'the disk is full'],
  // SQLITE_IOERR_SHMSIZE: of a full disk, at the first look at the file.
  [4874, 'the disk is full'],
  // SQLITE_IOERR_WRITE
  [778, 'the disk refuses to read or write'],
  [10, 'the disk refuses to read or write'],
])('result code %i of SQLite is said in words', (errcode, detail) => {
  const thrown = Object.assign(new Error('s3cret'), { code: 'ERR_SQLITE_ERROR', errcode });
  expect(unavailable(thrown)).toMatchObject({ code: 'AUDIT_UNAVAILABLE', detail });
});
