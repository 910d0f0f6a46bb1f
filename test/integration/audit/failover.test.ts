import { generateKeyPairSync } from 'node:crypto';
import { Client } from 'pg';
import { describe, expect, it } from 'vitest';
import type { AuditStore } from '../../../src/audit/store.ts';
import { verify } from '../../../src/audit/verify/verify.ts';
import { entry, recordsOf } from '../../audit/sample.ts';
import { DB, HEAD, openBench } from '../../cli/harness.ts';
import { startServiceProcess, within } from '../service/service-process.ts';
import { freePort } from '../services/free-port.ts';
import { startPostgres } from '../services/postgres.ts';
import { until } from '../services/service.ts';
import { openAt } from './database.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const TOKEN = 'a-token-of-ann-that-is-long-enough';

async function query(url: string, text: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows[0];
  } finally {
    await client.end();
  }
}

/** A primary and its standby, with streaming replication. Clients reach the current primary at `url`. */
async function startPair({ synchronous }: { readonly synchronous: boolean }) {
  await using stack = new AsyncDisposableStack();
  const primary = stack.use(await startPostgres({ borrow: false }));
  const replication: TcpProxy = stack.use(await startTcpProxy(primary.url));
  const standby = stack.use(await startPostgres({ standbyOf: replication.url }));
  const clients: TcpProxy = stack.use(await startTcpProxy(primary.url));
  const isReplicated = `select count(*) filter (where replay_lsn = pg_current_wal_lsn())::int as n
    from pg_stat_replication`;
  const waitForStandby = () =>
    until('The replication', 10_000, async () => (await query(primary.url, isReplicated))?.n === 1);
  if (synchronous) {
    await query(primary.url, "alter system set synchronous_standby_names = '*'");
    await query(primary.url, 'select pg_reload_conf()');
  }
  await waitForStandby();
  const owned = stack.move();
  return {
    url: clients.url,
    waitForStandby,
    /** From now on, the standby receives nothing. */
    stopReplication: () => replication.freeze(),
    /** Kills the primary and promotes the standby. Then clients reach the standby. */
    async failOver(): Promise<void> {
      await primary.crash();
      await query(standby.url, 'select pg_promote()');
      clients.switchTo(standby.url);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function requests(store: AuditStore): Promise<readonly string[]> {
  return (await recordsOf(store)).map(({ requestId }) => requestId);
}

describe('a failover of PostgreSQL to a standby', () => {
  it('loses no acknowledged record with synchronous replication', async () => {
    await using pair = await startPair({ synchronous: true });
    await using store = await openAt(pair.url);
    for (let n = 1; n <= 20; n += 1) await store.append([entry({ requestId: `request-${n}` })]);
    pair.stopReplication();
    // The primary confirms this record only after the standby has it, which never happens.
    await expect(store.append([entry({ requestId: 'unconfirmed' })])).rejects.toMatchObject({
      code: 'AUDIT_UNAVAILABLE',
    });
    await pair.failOver();
    await until('The failover', 20_000, async () => {
      return store.append([entry({ requestId: 'after' })]).then(
        () => true,
        () => false,
      );
    });
    const stored = await requests(store);
    expect(stored).toEqual([...Array.from({ length: 20 }, (_, n) => `request-${n + 1}`), 'after']);
    expect(await verify(store.storedRecords(1), { until: await store.head() })).toMatchObject({
      kind: 'intact',
    });
  });

  it('every process that saw a lost record refuses to continue the shorter chain', async () => {
    await using pair = await startPair({ synchronous: false });
    await using writer = await openAt(pair.url);
    await using reader = await openAt(pair.url, { replica: 'b' });
    await writer.append([entry(), entry()]);
    await pair.waitForStandby();
    pair.stopReplication();
    await writer.append([entry()]);
    await reader.checkWritable();
    await pair.failOver();
    for (const store of [writer, reader]) {
      await expect(store.append([entry()])).rejects.toMatchObject({
        code: 'AUDIT_UNAVAILABLE',
        message: expect.stringContaining('lacks records'),
        remedy: expect.stringContaining('secretbridge audit accept'),
      });
    }
    expect(await writer.head()).toMatchObject({ sequence: 2 });
  });

  it('the service changes no Secret after records were lost, also after a restart, until a person accepts the loss', async () => {
    await using pair = await startPair({ synchronous: false });
    const port = await freePort();
    const address = `http://127.0.0.1:${port}`;
    await using bench = await openBench(`${HEAD}${DB}
http: { listen: '127.0.0.1:${port}', tokens: [ { name: ann, role: operator, token: { env: TOKEN } } ] }
keys: { fingerprint: [ { env: KEY } ], checkpoint: { file: ./checkpoint.key } }
audit:
  store: { kind: postgres, url: { env: DATABASE_URL } }
  checkpoints: [ { kind: file, path: ./checkpoints.jsonl } ]
defaults: { refresh: 5s }
`);
    const { privateKey } = generateKeyPairSync('ed25519');
    await bench.write('checkpoint.key', privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const env = { TOKEN, KEY: Buffer.alloc(32, 7).toString('base64'), DATABASE_URL: pair.url };
    const start = (ready: boolean) =>
      startServiceProcess({ cwd: bench.folder, env, address, token: TOKEN, ready });
    const isRefused = async (service: Awaited<ReturnType<typeof start>>): Promise<void> => {
      await within(30_000, async () =>
        expect((await service.get('/readyz')).text).toContain('AUDIT_TRUNCATED'),
      );
      expect((await service.status()).audit).toMatchObject({ state: 'down', code: 'AUDIT_TRUNCATED' });
      expect(await service.metric('secretbridge_audit_chain_ok')).toBe(0);
      expect((await service.get('/livez')).status).toBe(200);
    };

    const before = 'cluster/apps/db.yaml';
    await using service = await start(true);
    await within(20_000, async () => expect((await service.target('db'))?.state).toBe('synced'));
    await pair.waitForStandby();
    pair.stopReplication();
    const first = await bench.read(before);
    await bench.write('store/db.json', '{"user":"ann","password":"second"}');
    await within(20_000, async () => expect(await bench.read(before)).not.toBe(first));
    const second = await bench.read(before);
    await pair.failOver();
    await isRefused(service);
    await bench.write('store/db.json', '{"user":"ann","password":"third"}');
    expect((await service.stop()).code).toBe(0);

    await using restarted = await start(false);
    await isRefused(restarted);
    expect(await bench.read(before)).toBe(second);
    expect((await bench.runWith({ env }, 'audit', 'accept')).code).toBe(0);
    await within(30_000, async () => expect((await restarted.get('/readyz')).status).toBe(200));
    await within(20_000, async () => expect(await bench.read(before)).not.toBe(second));
    const proof = JSON.parse((await restarted.get('/api/v1/audit/verify', TOKEN)).text);
    expect(proof).toMatchObject({ ok: true, accepted: 1 });
    expect((await restarted.stop()).code).toBe(0);
  }, 120_000);
});
