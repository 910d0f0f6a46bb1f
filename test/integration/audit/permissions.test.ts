import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SCHEMA_VERSION } from '../../../src/audit/records/schema.ts';
import { entry } from '../../audit/sample.ts';
import { postgres } from '../services/inject.ts';
import { startPostgres } from '../services/postgres.ts';
import { createDatabase, type Database, openAt } from './database.ts';

function failing(detail: string) {
  return { code: 'AUDIT_UNAVAILABLE', message: expect.stringContaining(detail) };
}

/**
 * Creates a role without privileges. Returns the name of the role, and the URL with which the role connects to the
 * database.
 */
async function createRole(database: Database): Promise<{ name: string; url: string }> {
  const name = `role_${randomBytes(4).toString('hex')}`;
  await database.sql(`create role ${name} login password 'p%ss'`);
  const url = new URL(database.url);
  url.username = name;
  url.password = encodeURIComponent('p%ss');
  return { name, url: url.href };
}

async function dropRole(database: Database, name: string): Promise<void> {
  await database.sql(`drop owned by ${name}; drop role ${name}`);
}

describe('a database role', () => {
  it('a role can read everything and write nothing if its only privilege is SELECT', async () => {
    await using database = await createDatabase(postgres());
    await using store = await database.open();
    const records = await store.append([entry()]);
    const { name, url } = await createRole(database);
    await expect(openAt(url, { readOnly: true })).rejects.toMatchObject(failing('permission denied'));
    await database.sql(
      `grant usage on schema secretbridge to ${name}; grant select on all tables in schema secretbridge to ${name}`,
    );
    {
      await using reader = await openAt(url, { readOnly: true });
      expect(await reader.list({ key: 'payments/db' }, { limit: 5 })).toEqual(records);
      expect(await Array.fromAsync(reader.storedRecords(1))).toHaveLength(1);
      await expect(reader.append([entry()])).rejects.toMatchObject(failing('for reading only'));
      await expect(reader.unresolvedIntents()).rejects.toMatchObject(failing('for reading only'));
      // Opening for writing succeeds, because no migration is due. The server rejects the insert.
      await using writer = await openAt(url);
      await expect(writer.append([entry()])).rejects.toMatchObject(failing('permission denied'));
    }
    await dropRole(database, name);
  });

  it('a role needs no right to create tables if the tables already exist', async () => {
    await using database = await createDatabase(postgres());
    const { name, url } = await createRole(database);
    await expect(openAt(url)).rejects.toMatchObject(failing('permission denied'));
    await (await database.open())[Symbol.asyncDispose]();
    await database.sql(`grant usage on schema secretbridge to ${name};
      grant select, insert, update, delete on all tables in schema secretbridge to ${name}`);
    {
      await using store = await openAt(url);
      expect(await store.append([entry()])).toMatchObject([{ sequence: 1 }]);
    }
    await dropRole(database, name);
  });

  it('a role needs no right to create a schema if it already owns an empty schema', async () => {
    await using database = await createDatabase(postgres());
    const { name, url } = await createRole(database);
    await database.sql(`create schema secretbridge authorization ${name}`);
    {
      await using store = await openAt(url);
      expect(await store.append([entry()])).toMatchObject([{ sequence: 1 }]);
    }
    await dropRole(database, name);
  });

  it('rejects a role with a wrong password, and reports an error without that password', async () => {
    await using database = await createDatabase(postgres());
    const url = new URL(database.url);
    url.password = 'hunter2';
    const failure = await openAt(url.href).then(String, (error: Error) => `${error.message} ${error.stack}`);
    expect(failure).toContain('the server refuses the password');
    expect(failure).not.toContain('hunter2');
    expect(failure).not.toContain(url.username);
  });
});

describe('a database', () => {
  it('a database stays unchanged if a reader opens it before it contains a log', async () => {
    await using database = await createDatabase(postgres());
    await expect(database.open({ readOnly: true })).rejects.toMatchObject(
      failing('it holds no audit log yet'),
    );
    expect(await database.sql(`select 1 from pg_namespace where nspname = 'secretbridge'`)).toEqual([]);
  });

  it('rejects a database whose schema belongs to another program', async () => {
    await using database = await createDatabase(postgres());
    await database.sql('create schema secretbridge; create table secretbridge.other (a int)');
    await expect(database.open()).rejects.toMatchObject(failing('belongs to another program'));
  });

  it('a running process rejects a database whose schema was changed by another release', async () => {
    await using database = await createDatabase(postgres());
    await using running = await database.open();
    await running.append([entry()]);
    await database.sql('update secretbridge.schema_version set version = 9');
    const newerRelease = failing(
      `written by a newer release: schema 9, this release supports ${SCHEMA_VERSION}`,
    );
    await expect(database.open({ replica: 'b' })).rejects.toMatchObject(newerRelease);
    await expect(database.open({ readOnly: true })).rejects.toMatchObject(newerRelease);
    await expect(running.append([entry()])).rejects.toMatchObject(newerRelease);
    await database.sql('update secretbridge.schema_version set version = 3');
    await expect(database.open({ readOnly: true })).rejects.toMatchObject(failing('its schema 3 is unknown'));
  });

  it('rejects a database that is not encoded in UTF-8', async () => {
    await using database = await createDatabase(postgres());
    await database.sql(`create database ${new URL(database.url).pathname.slice(1)}_latin encoding 'LATIN1'
      locale 'C' template template0`);
    const url = new URL(database.url);
    url.pathname += '_latin';
    await expect(openAt(url.href)).rejects.toMatchObject(failing('must be UTF8'));
    await database.sql(`drop database ${url.pathname.slice(1)}`);
  });

  it('works with a database whose settings differ from the defaults', async () => {
    await using database = await createDatabase(postgres());
    const name = new URL(database.url).pathname.slice(1);
    const settings = [
      'synchronous_commit = off',
      // Long enough for the statement that lifts it, also on a busy machine, and too short to create the tables.
      'statement_timeout = 20',
      'search_path = public',
      `default_transaction_isolation = 'serializable'`,
      'default_transaction_read_only = on',
    ];
    // The settings apply only to connections that are opened after this statement.
    await database.sql(settings.map((setting) => `alter database ${name} set ${setting}`).join(';'));
    const url = new URL(database.url);
    await using store = await openAt(url.href);
    await using other = await openAt(url.href, { replica: 'b' });
    await Promise.all([store.append([entry()]), other.append([entry()])]);
    expect(await store.head()).toMatchObject({ sequence: 2 });
  });
});

describe('a server', () => {
  it('rejects a server with settings that can cause a loss of stored data', async () => {
    await using server = await startPostgres({ borrow: false, settings: { fsync: 'off' } });
    await expect(openAt(server.url)).rejects.toMatchObject(failing('`fsync` off'));
  });

  it('errors name an unreachable server, but contain no credentials', async () => {
    await expect(openAt('postgres://ann:hunter2@127.0.0.1:1/db')).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
      message:
        'audit store postgres://127.0.0.1:1/db: the audit log is unusable, so nothing is changed (nothing answers at the address of the server)',
    });
  });
});
