import { expect, it } from 'vitest';
import { addressOf } from '../../src/app/audit.ts';

const textOf = (place: string, password?: string): string =>
  Buffer.from(addressOf(place, { PGPASSWORD: password }).reveal()).toString();

it('the address of the audit store gets the password from the environment if the URL contains no password', () => {
  expect(textOf('postgres://ann@db.internal/audit', 'p@ss/word')).toBe(
    'postgres://ann:p%40ss%2Fword@db.internal/audit',
  );
  expect(textOf('postgres://ann:own@db.internal/audit', 'other')).toBe(
    'postgres://ann:own@db.internal/audit',
  );
  expect(textOf('postgres://ann@db.internal/audit')).toBe('postgres://ann@db.internal/audit');
  expect(textOf('not an address', 'p')).toBe('not an address');
});
