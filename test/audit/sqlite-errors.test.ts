import { expect, it } from 'vitest';
import { toAuditError } from '../../src/audit/sqlite/errors.ts';

it.each([
  [13, 'the disk is full'],
  // SQLITE_IOERR_SHMSIZE occurs if the disk is full at the first access to the file.
  [4874, 'the disk is full'],
  // SQLITE_IOERR_WRITE occurs if a write fails.
  [778, 'the disk reports an I/O error'],
  [10, 'the disk reports an I/O error'],
])('an error describes the SQLite result code %i', (errcode, detail) => {
  const thrown = Object.assign(new Error('s3cret'), { code: 'ERR_SQLITE_ERROR', errcode });
  expect(toAuditError(thrown)).toMatchObject({ code: 'AUDIT_UNAVAILABLE', detail });
});
