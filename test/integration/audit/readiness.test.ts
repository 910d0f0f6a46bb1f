import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { DB, HEAD, openBench } from '../../cli/harness.ts';
import { startServiceProcess, within } from '../service/service-process.ts';
import { freePort } from '../services/free-port.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';
import { startTcpProxy } from './tcp-proxy.ts';

const TOKEN = 'a-token-of-ann-that-is-long-enough';

async function startService(config: string, more: Readonly<Record<string, string>> = {}) {
  const port = await freePort();
  const http = `http: { listen: '127.0.0.1:${port}', tokens: [ { name: ann, role: operator, token: { env: TOKEN } } ] }\n`;
  const bench = await openBench(HEAD + http + config + DB);
  const env = { TOKEN, ...more };
  const address = `http://127.0.0.1:${port}`;
  const served = await startServiceProcess({ cwd: bench.folder, env, address, token: TOKEN });
  // After this check, the idle service writes no record until its next refresh.
  await within(20_000, async () => expect((await served.target('db'))?.state).toBe('synced'));
  return { bench, served };
}

it('an idle service becomes not ready when its audit is not writable', async () => {
  const { bench, served } = await startService('');
  await using _ = bench;
  await using service = served;
  const path = join(bench.folder, 'state/audit.db');
  await rename(path, `${path}.away`);
  await within(25_000, async () => expect((await service.get('/readyz')).status).toBe(503));
  expect((await service.get('/readyz')).text).toContain('AUDIT_UNAVAILABLE');
  expect((await service.get('/livez')).status).toBe(200);
  expect((await service.status()).audit).toMatchObject({ state: 'down', code: 'AUDIT_UNAVAILABLE' });
  expect(await service.metric('secretbridge_audit_up')).toBe(0);
  await rename(`${path}.away`, path);
  await within(25_000, async () => expect((await service.get('/readyz')).status).toBe(200));
  expect(await service.metric('secretbridge_audit_up')).toBe(1);
  expect((await service.stop()).code).toBe(0);
}, 90_000);

it('an idle service becomes not ready when PostgreSQL answers queries but rejects records', async () => {
  await using database = await createDatabase(postgres());
  const keys = 'keys: { fingerprint: [ { env: KEY } ] }\n';
  const audit = 'audit: { store: { kind: postgres, url: { env: DATABASE_URL } } }\n';
  const KEY = Buffer.alloc(32, 7).toString('base64');
  const { bench, served } = await startService(keys + audit, { KEY, DATABASE_URL: database.url });
  await using _ = bench;
  await using service = served;
  await database.sql('alter table secretbridge.head add constraint none check (sequence < 0) not valid');
  await within(25_000, async () => expect((await service.get('/readyz')).status).toBe(503));
  await database.sql('alter table secretbridge.head drop constraint none');
  await within(25_000, async () => expect((await service.get('/readyz')).status).toBe(200));
  expect((await service.stop()).code).toBe(0);
}, 90_000);

it('the service answers probes and scrapes within five seconds while the database of its audit is frozen', async () => {
  await using database = await createDatabase(postgres());
  await using proxy = await startTcpProxy(database.url);
  const keys = 'keys: { fingerprint: [ { env: KEY } ] }\n';
  const audit = 'audit: { store: { kind: postgres, url: { env: DATABASE_URL } } }\n';
  const KEY = Buffer.alloc(32, 7).toString('base64');
  const { bench, served } = await startService(keys + audit, { KEY, DATABASE_URL: proxy.url });
  await using _ = bench;
  await using service = served;
  proxy.freeze();
  const start = performance.now();
  const paths = ['/readyz', '/metrics', '/api/v1/status'].flatMap((path) => Array(4).fill(path));
  const answers = await Promise.all(paths.map((path) => service.get(path)));
  expect(performance.now() - start).toBeLessThan(5_000);
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503, ...Array(8).fill(200)]);
  expect(answers.filter(({ text }) => text.includes('\nsecretbridge_audit_up 0'))).toHaveLength(4);
  expect(
    await within(5_000, async () => expect((await service.get('/readyz')).status).toBe(503)),
  ).toBeLessThan(1_000);
  proxy.restore();
  await within(40_000, async () => expect((await service.get('/readyz')).status).toBe(200));
  expect((await service.stop()).code).toBe(0);
}, 120_000);
