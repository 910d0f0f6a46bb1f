import { DatabaseError } from 'pg';
import { describe, expect, it } from 'vitest';
import { endsConnection, isTransient, sqlState, toAuditError } from '../../src/audit/postgres/errors.ts';

function fromServer(code: string): Error {
  const error = new DatabaseError('password authentication failed for user "hunter2"', 1, 'error');
  error.severity = 'FATAL';
  error.code = code;
  error.detail = 'hunter2';
  return error;
}

const withCode = (code: string): Error => Object.assign(new Error('connect to hunter2'), { code });

describe('PostgreSQL driver errors', () => {
  it.each([
    [fromServer('28P01'), 'the server refuses the password'],
    [fromServer('53100'), 'the disk of the server is full'],
    [fromServer('42P99'), 'PostgreSQL error 42P99'],
    [withCode('ECONNREFUSED'), 'nothing answers at the address of the server'],
    [new AggregateError([withCode('ECONNREFUSED')]), 'nothing answers at the address of the server'],
    [withCode('CERT_HAS_EXPIRED'), 'the certificate of the server has expired'],
    [withCode('ERR_SSL_WRONG_VERSION_NUMBER'), 'TLS failed'],
    [withCode('hunter2'), 'the connection to the server failed'],
    [new Error('hunter2'), 'the connection to the server failed'],
    ['hunter2', 'the connection to the server failed'],
  ])('errors of the PostgreSQL driver become errors with a message of this program: %s', (thrown, detail) => {
    const error = toAuditError(thrown);
    expect(error).toMatchObject({ code: 'AUDIT_UNAVAILABLE', detail });
    expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('hunter2');
  });

  it.each([
    [fromServer('57P01'), true, true],
    [fromServer('57P03'), true, true],
    [fromServer('25P03'), true, true],
    [fromServer('53300'), false, true],
    [fromServer('28P01'), false, false],
    [fromServer('55P03'), false, false],
    [withCode('ECONNRESET'), true, true],
    [withCode('CERT_HAS_EXPIRED'), true, false],
    [new Error('Connection terminated'), true, true],
  ])(
    'errors of the PostgreSQL driver show whether the connection is lost, and whether a new connection may work: %s',
    (thrown, ends, passes) => {
      for (const error of [thrown, toAuditError(thrown)]) {
        expect(endsConnection(error)).toBe(ends);
        expect(isTransient(error)).toBe(passes);
      }
    },
  );

  it('errors of the PostgreSQL driver keep the SQLSTATE that the server sent', () => {
    expect(sqlState(toAuditError(fromServer('55P03')))).toBe('55P03');
    expect(sqlState(withCode('EPIPE'))).toBeUndefined();
  });
});
