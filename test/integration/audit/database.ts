import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { createBackends } from '../../../src/audit/postgres/backends.ts';
import { openPostgresAudit, type PostgresAuditOptions } from '../../../src/audit/postgres/postgres.ts';
import { openSession, type Session } from '../../../src/audit/postgres/session.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { SecretValue } from '../../../src/core/secret-value.ts';

/** An empty database for one test. */
export interface Database extends AsyncDisposable {
  readonly url: string;
  /** Runs SQL as the superuser, bypassing the store. */
  sql(text: string): Promise<readonly Record<string, unknown>[]>;
  open(options?: Partial<PostgresAuditOptions>): Promise<AuditStore>;
}

export async function createDatabase(server: { readonly url: string }): Promise<Database> {
  const name = `audit_${randomBytes(6).toString('hex')}`;
  await query(server.url, `create database ${name}`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    sql: (text) => query(url.href, text),
    open: (options) => openAt(url.href, options),
    [Symbol.asyncDispose]: async () => {
      await query(server.url, `drop database ${name} with (force)`);
    },
  };
}

export function openAt(url: string, options: Partial<PostgresAuditOptions> = {}): Promise<AuditStore> {
  return openPostgresAudit({
    url: async () => SecretValue.fromText(url),
    instance: 'test',
    replica: 'a',
    clock: systemClock,
    ...options,
  });
}

/** Opens a read-only connection with the settings of our own connections. */
export function connect({ url }: Database): Promise<Session> {
  return openSession({
    url: async () => SecretValue.fromText(url),
    tls: undefined,
    name: 'a',
    readOnly: true,
    backends: createBackends(),
  });
}

/** Runs one statement on its own connection. Returns the rows. */
export async function query(url: string, text: string): Promise<readonly Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const result: unknown = await client.query(text);
    const last = Array.isArray(result) ? result.at(-1) : result;
    return last.rows;
  } finally {
    await client.end();
  }
}
