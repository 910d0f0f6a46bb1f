import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { startApiServer } from '../cluster/api-server.ts';
import { openBridgeBench } from './hand-edit-bench.ts';

const inBase64 = (text: string): string => Buffer.from(text).toString('base64');

describe('audit query with credentials in the cluster', () => {
  it('`audit` commands read the database URL from a Secret in the cluster', async () => {
    await using api = await startApiServer();
    await using bench = await openBridgeBench(
      api,
      `audit: { store: { kind: postgres, url: { secretRef: { name: db, key: url } } } }
keys: { fingerprint: [ { file: ./f.key } ], checkpoint: { file: ./c.key } }
mappings: []
`,
      { db: { url: inBase64('postgres://ann@127.0.0.1:1/audit') } },
    );
    // The address has no listener, so a connection error proves that the command has read the address.
    for (const command of [['list'], ['report'], ['verify']])
      expect(await bench.run('audit', ...command)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('AUDIT_UNAVAILABLE'),
      });
  });

  it('`audit` commands read the fingerprint key from a Secret in the cluster', async () => {
    await using api = await startApiServer();
    await using bench = await openBridgeBench(
      api,
      'keys: { fingerprint: [ { secretRef: { name: keys, key: fingerprint } } ] }\nmappings: []\n',
      { keys: { fingerprint: inBase64(Buffer.alloc(32, 7).toString('base64')) } },
    );
    expect(await bench.run('sync')).toMatchObject({ code: 0 });
    const stdin = Readable.from(['hunter2']);
    expect(await bench.runWith({ stdin }, 'audit', 'list', '--value')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('Not found.'),
    });
  });

  it('`audit` commands need no cluster if no credential is stored in the cluster, and `audit verify` needs no private key', async () => {
    await using api = await startApiServer();
    await using bench = await openBridgeBench(api, 'mappings: []\n');
    expect(await bench.run('sync')).toMatchObject({ code: 0 });
    await rm(api.kubeconfig);
    for (const command of [['list'], ['report'], ['verify']])
      expect(await bench.run('audit', ...command)).toMatchObject({ code: 0 });
    const config = await bench.read('secretbridge.yaml');
    const key = 'keys: { checkpoint: { secretRef: { name: keys, key: checkpoint } } }\n';
    await bench.write('secretbridge.yaml', config + key);
    expect((await bench.run('audit', 'verify')).code).toBe(2);
  });
});
