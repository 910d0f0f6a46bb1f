import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { openService, WELL } from './fake-service.ts';
import { openBench, type Result } from './harness.ts';

const NEVER = { lastSuccess: null, staleSeconds: null };
const problem = {
  file: 'configmap:shop/bad',
  line: 3,
  column: 5,
  path: '',
  code: 'CONFIG_INVALID',
  message: 'bad',
};
const STATUS = {
  ...WELL,
  includes: [
    { path: 'configmap:shop/app', state: 'valid', problems: [] },
    { path: 'configmap:shop/bad', state: 'outdated', problems: [problem] },
    { path: 'configmap:other/app', state: 'valid', problems: [] },
  ],
  targets: [
    { mapping: 'shop.db', namespace: 'shop', secret: 'db', state: 'synced', ...NEVER },
    {
      ...{ mapping: 'shop.api', namespace: 'shop', secret: 'api', state: 'refused', ...NEVER },
      ...{ code: 'NOT_OWNED', message: 'somebody else owns the Secret', remedy: 'Adopt it.' },
    },
    { mapping: 'other.x', namespace: 'other', secret: 'x', state: 'failed', ...NEVER, code: 'TIMEOUT' },
  ],
};
const PLAN = {
  changes: 1,
  targets: [
    {
      ...{ mapping: 'shop.db', namespace: 'shop', secret: 'db', action: 'update' },
      keys: [{ name: 'PASSWORD', action: 'change', before: 'k:1', after: 'k:2' }],
    },
    {
      ...{ mapping: 'shop.api', namespace: 'shop', secret: 'api', action: 'refuse', keys: [] },
      ...{ code: 'NOT_OWNED', message: 'shop/api: a Secret with this name exists', remedy: 'Adopt it.' },
    },
    {
      ...{ mapping: 'shop.new', namespace: 'shop', secret: 'new', action: 'fail', keys: [] },
      ...{ code: 'FROM_THE_FUTURE', message: 'a new problem' },
    },
  ],
};
const RECORD = {
  ...{
    sequence: 7,
    time: '2027-03-01T11:00:00.000Z',
    instance: 'prod',
    replica: 'r',
    actor: { kind: 'event' },
  },
  ...{
    requestId: 'q',
    action: 'create',
    phase: 'outcome',
    outcome: 'ok',
    mapping: 'shop.db',
    namespace: 'shop',
  },
  ...{
    secret: 'db',
    sources: [],
    keys: { added: ['A'], changed: [], removed: [] },
    durationMs: 1,
    attempt: 1,
  },
};

async function runKubectl(...args: readonly string[]): Promise<Result> {
  await using bench = await openBench();
  await using service = await openService({
    'GET /api/v1/status': { body: STATUS },
    'GET /api/v1/plan?namespace=shop': { body: PLAN },
    'GET /api/v1/plan?namespace=quiet': { body: { changes: 0, targets: [] } },
    'GET /api/v1/mappings/shop.db': { body: { mapping: 'shop.db', sources: [{ store: 's', key: 'k' }] } },
    'GET /api/v1/audit/records?mapping=shop.db&namespace=shop&limit=5': { body: { records: [RECORD] } },
    'GET /api/v1/audit/records?namespace=shop&limit=20': { body: { records: [RECORD] } },
  });
  const env = { SECRETBRIDGE_TOKEN: 'a-token', SECRETBRIDGE_SERVER: service.url };
  return await bench.runWith({ env }, 'kubectl', ...args);
}

describe('the commands of the kubectl plugin', () => {
  it('`status` shows the ConfigMaps and Secrets of the namespace only', async () => {
    const { code, stdout } = await runKubectl('status', '-n', 'shop');
    expect(code).toBe(4);
    expect(stdout).toContain('line 3, column 5: CONFIG_INVALID: bad');
    expect(stdout).toContain('Adopt it.');
    expect(stdout).not.toContain('other');
    const { json } = await runKubectl('status', '-n', 'shop', '--output', 'json');
    expect(json).toMatchObject({
      namespace: 'shop',
      includes: [{ path: 'configmap:shop/app' }, { path: 'configmap:shop/bad' }],
      targets: [{ mapping: 'shop.db' }, { mapping: 'shop.api' }],
    });
  });

  it('`plan` shows what the service would change, as `secretbridge plan` does', async () => {
    const { code, stdout, stderr } = await runKubectl('plan', '-n', 'shop');
    // A temporary failure comes first.
    expect(code).toBe(1);
    expect(stdout).toContain('PASSWORD');
    expect(stdout).toContain('Adopt it.');
    expect(stdout).toContain('FROM_THE_FUTURE: a new problem');
    expect(stdout).toContain('Plan for 3 targets: 1 to update, 1 refused, 1 failing.');
    expect(stderr).toContain('line 3, column 5: CONFIG_INVALID: bad');
    const { json } = await runKubectl('plan', '-n', 'shop', '--output', 'json');
    expect(json).toMatchObject({ changes: 1, targets: [{ mapping: 'shop.db', action: 'update' }, {}, {}] });
    const quiet = await runKubectl('plan', '-n', 'quiet');
    expect([quiet.code, quiet.stdout]).toEqual([0, 'Plan for 0 targets: nothing to do.\n']);
  });

  it('`explain` finds a mapping by the name in its ConfigMap', async () => {
    const { code, json } = await runKubectl('explain', 'db', '-n', 'shop', '--output', 'json');
    expect(code).toBe(0);
    expect(json).toMatchObject({
      mapping: 'shop.db',
      targets: [{ state: 'synced' }],
      lastRecords: [{ sequence: 7 }],
    });
  });

  it('`history` lists the records of the namespace', async () => {
    const { stdout } = await runKubectl('history', '-n', 'shop');
    expect(stdout).toContain('shop/db');
  });

  it('needs the address of the service', async () => {
    await using bench = await openBench();
    const { code, stderr } = await bench.runWith({ env: {} }, 'kubectl', 'status', '-n', 'shop');
    expect(code).toBe(64);
    expect(stderr).toContain('SECRETBRIDGE_SERVER');
  });

  it('the plugin runs these commands', async () => {
    const plugin = resolve(import.meta.dirname, '../../bin/kubectl-secretbridge.js');
    const { stdout } = await promisify(execFile)(process.execPath, [plugin, '--help']);
    expect(stdout).toContain('Usage: secretbridge kubectl');
    expect(stdout).toContain('history');
  });
});
