import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretValue } from '../../../src/core/secret-value.ts';
import { runChild } from '../../audit/run-child.ts';
import { entry } from '../../audit/sample.ts';
import { describeAuditStore, HARNESS_INSTANCE, tickingClock } from '../../conformance/audit-store.ts';
import { postgres } from '../services/inject.ts';
import { findPgBouncer, type PgBouncer, type PoolMode, startPgBouncer } from '../services/pgbouncer.ts';
import { until } from '../services/service.ts';
import { createDatabase, openAt } from './database.ts';

const files = await findPgBouncer();
const NOTE = files === undefined ? ': needs PgBouncer, or apt-get to fetch it' : '';

/** Starts PgBouncer before the tests of the surrounding `describe`. */
function usePooler(mode: PoolMode): () => PgBouncer {
  let pooler: PgBouncer | undefined;
  beforeAll(async () => {
    pooler = await startPgBouncer(files ?? '', postgres().url, mode);
  });
  afterAll(() => pooler?.stop());
  return () => {
    if (pooler === undefined) throw new Error('PgBouncer was not started');
    return pooler;
  };
}

function pooledUrl(pooler: PgBouncer, database: { readonly url: string }): string {
  const url = new URL(database.url);
  url.host = pooler.address;
  return url.href;
}

const REFUSAL = {
  code: 'AUDIT_UNAVAILABLE',
  isTransient: false,
  message: expect.stringContaining('its connection pooler shares a connection among clients'),
  remedy: expect.stringContaining('pool_mode = session'),
};

describe.skipIf(files === undefined)(`the audit behind PgBouncer with session pooling${NOTE}`, () => {
  const pooler = usePooler('session');

  describeAuditStore('session pooling', async () => {
    const database = await createDatabase(postgres());
    const clock = tickingClock();
    const url = pooledUrl(pooler(), database);
    return {
      open: (replica) => openAt(url, { instance: HARNESS_INSTANCE, replica, clock }),
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
  });

  it('the locks of a process end with the process', async () => {
    await using database = await createDatabase(postgres());
    const url = pooledUrl(pooler(), database);
    await using store = await openAt(url, { replica: 'next', maxWriteDurationMs: 0 });
    await using writer = runChild(['intend', url, 'killed']);
    await using holder = runChild(['exclusive', url, 'holder']);
    expect(await writer.line()).toBe('recorded');
    expect(await holder.line()).toBe('inside');
    expect(await store.unresolvedIntents()).toEqual([]);
    await writer.kill('SIGKILL');
    await until('The release of its lock', 5_000, async () => (await store.unresolvedIntents()).length === 1);
    await holder.kill('SIGKILL');
    expect(await store.exclusively('destroy', async () => 'done')).toBe('done');
  });
});

describe.skipIf(files === undefined)(`the audit behind PgBouncer with transaction pooling${NOTE}`, () => {
  const pooler = usePooler('transaction');

  it('refuses to open the store, because the locks of a client would end up on other connections', async () => {
    await using database = await createDatabase(postgres());
    await expect(openAt(pooledUrl(pooler(), database))).rejects.toMatchObject(REFUSAL);
  });

  it('a write on another connection of the server is refused and stores nothing', async () => {
    await using database = await createDatabase(postgres());
    const text = pooledUrl(pooler(), database);
    await using stack = new AsyncDisposableStack();
    /** Occupies the connection to the server that was used last. */
    const occupy = async (): Promise<void> => {
      const other = new Client({ connectionString: text });
      await other.connect();
      stack.defer(() => other.end());
      await other.query('begin; select');
    };
    let opened = 0;
    await using store = await openAt(text, {
      url: async () => {
        opened += 1;
        // The first connection for reads must not get the connection of the writer, which would show the pooler.
        if (opened === 3) await occupy();
        return SecretValue.fromText(text);
      },
    });
    await occupy();
    await occupy();
    await expect(store.append([entry()])).rejects.toMatchObject(REFUSAL);
    expect(await database.sql('select from secretbridge.records')).toEqual([]);
  });
});
