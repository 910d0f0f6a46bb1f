import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { createCheckpointer } from '../../../src/audit/checkpoint/checkpointer.ts';
import { fileLocation } from '../../../src/audit/checkpoint/locations.ts';
import { createSigner, keysById } from '../../../src/audit/checkpoint/signing.ts';
import { openSqliteAudit } from '../../../src/audit/sqlite/sqlite.ts';
import type { AuditStore } from '../../../src/audit/store.ts';
import { verifyWithEvidence } from '../../../src/audit/verify/verify.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { temporaryFolder } from '../../audit/folder.ts';
import { entry } from '../../audit/sample.ts';
import { truncateLog } from '../../audit/truncate-log.ts';
import { DB, HEAD, openBench } from '../../cli/harness.ts';
import { startServiceProcess } from '../service/service-process.ts';
import { freePort } from '../services/free-port.ts';
import { postgres } from '../services/inject.ts';
import { createDatabase } from './database.ts';

const TOKEN = 'a-token-of-ann-that-is-long-enough';

it('the service keeps running after its audit was truncated, but changes no Secret until an operator accepts the loss', async () => {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const http = `http: { listen: '127.0.0.1:${port}', tokens: [ { name: ann, role: operator, token: { env: TOKEN } } ] }\n`;
  await using bench = await openBench(HEAD + http + DB);
  expect((await bench.runWith({ env: { TOKEN } }, 'sync')).code).toBe(0);
  await bench.write('store/db.json', '{"user":"bob","password":"second"}');
  const before = await bench.read('cluster/apps/db.yaml');
  truncateLog(join(bench.folder, 'state/audit.db'), 3);

  await using service = await startServiceProcess({
    cwd: bench.folder,
    env: { TOKEN },
    address,
    token: TOKEN,
    ready: false,
  });
  await vi.waitFor(
    async () => expect((await service.get('/readyz')).text).toContain('AUDIT_TRUNCATED'),
    20_000,
  );
  expect((await service.get('/livez')).status).toBe(200);
  expect((await service.get('/readyz')).status).toBe(503);
  const status = await service.status();
  expect(status.audit).toMatchObject({ state: 'down', sequence: 3, code: 'AUDIT_TRUNCATED' });
  expect(await service.metric('secretbridge_audit_chain_ok')).toBe(0);
  expect(await service.metric('secretbridge_audit_up')).toBe(0);
  const proof = JSON.parse((await service.get('/api/v1/audit/verify', TOKEN)).text);
  expect(proof).toMatchObject({ ok: false, problem: { kind: 'truncated', sequence: 4 } });
  expect((await service.get('/api/v1/audit/records', TOKEN)).status).toBe(200);
  expect((await service.send('POST', '/api/v1/mappings/db/sync', TOKEN)).text).toContain('AUDIT_TRUNCATED');
  expect(await bench.read('cluster/apps/db.yaml')).toBe(before);

  expect((await bench.runWith({ env: { TOKEN } }, 'audit', 'accept')).code).toBe(0);
  await vi.waitFor(async () => expect((await service.get('/readyz')).status).toBe(200), 20_000);
  await vi.waitFor(async () => expect(await bench.read('cluster/apps/db.yaml')).not.toBe(before), 20_000);
  await vi.waitFor(async () => expect(await service.metric('secretbridge_audit_chain_ok')).toBe(1), 20_000);
  const after = JSON.parse((await service.get('/api/v1/audit/verify', TOKEN)).text);
  expect(after).toMatchObject({ ok: true, accepted: 1 });
  expect((await service.stop()).code).toBe(0);
}, 90_000);

it('the service records an interrupted export as failed', async () => {
  const port = await freePort();
  const address = `http://127.0.0.1:${port}`;
  const http = `http: { listen: '127.0.0.1:${port}', tokens: [ { name: ann, role: viewer, token: { env: TOKEN } } ] }\n`;
  await using bench = await openBench(HEAD + http + DB);
  expect((await bench.runWith({ env: { TOKEN } }, 'sync')).code).toBe(0);
  const path = join(bench.folder, 'state/audit.db');
  truncateLog(path, 3);
  const open = () =>
    openSqliteAudit({ path, instance: 'prod', replica: 'other-1-0a0a0a0a', clock: systemClock });
  {
    await using store = await open();
    // The records do not fit into the socket buffers.
    for (let n = 0; n < 10; n += 1)
      await store.append(Array.from({ length: 500 }, () => entry({ note: 'x'.repeat(5_000) })));
  }
  await using service = await startServiceProcess({
    cwd: bench.folder,
    env: { TOKEN },
    address,
    token: TOKEN,
    ready: false,
  });
  await vi.waitFor(
    async () => expect((await service.get('/readyz')).text).toContain('AUDIT_TRUNCATED'),
    20_000,
  );
  const headers = { authorization: `Bearer ${TOKEN}` };
  const exportRequest = request(`${address}/api/v1/audit/export?format=jsonl`, { headers });
  exportRequest.on('error', () => undefined).end();
  const [response] = (await once(exportRequest, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  // The client stops reading. The socket buffers fill up, so the export cannot end.
  await once(response, 'readable');
  expect((await service.stop()).code).toBe(0);
  await using store = await open();
  const [last] = await store.list({ action: 'export' }, { limit: 1 });
  expect(last).toMatchObject({ outcome: 'failed', code: 'INTERRUPTED', note: 'jsonl' });
}, 60_000);

it('the service accepts the loss of records in PostgreSQL even if rows that belong to the lost records remain', async () => {
  await using database = await createDatabase(postgres());
  const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
  const keys = keysById([signer.publicKey]);
  await using folder = await temporaryFolder();
  const locations = [fileLocation(join(folder.path, 'checkpoints.jsonl'))];
  const open = async (audit: AuditStore) => {
    const common = { instance: 'test', instances: ['test'], clock: systemClock };
    const checkpointer = createCheckpointer({
      audit,
      locations: locations,
      signer,
      keys,
      ...common,
      onFailure: () => undefined,
    });
    await checkpointer.checkStore();
    return checkpointer;
  };
  {
    await using store = await database.open();
    await using checkpointer = await open(store);
    await checkpointer.audit.append(Array.from({ length: 6 }, (_, n) => entry({ attempt: n + 1 })));
  }
  await database.sql(`set search_path = secretbridge; delete from records where sequence > 4;
    update head set sequence = 4, hash = (select hash from records where sequence = 4)`);
  await using store = await database.open({ replica: 'next' });
  await using checkpointer = await open(store);
  expect(checkpointer.storeError()).toMatchObject({ code: 'AUDIT_TRUNCATED' });
  await checkpointer.accept(entry({ action: 'command' }));
  expect(checkpointer.storeError()).toBeUndefined();
  await checkpointer.audit.append([entry(), entry()]);
  await checkpointer.write();
  const evidence = await checkpointer.evidence();
  const head = await store.head();
  expect(
    await verifyWithEvidence({ records: store.storedRecords(1), base: await store.base(), head, evidence }),
  ).toMatchObject({
    ok: true,
    records: 7,
    accepted: 1,
    sealed: { sequence: 7 },
  });
});
