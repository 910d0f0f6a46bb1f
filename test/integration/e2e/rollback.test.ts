import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { filesBelow, findLeaks, textMarker } from '../../leak-search.ts';
import { openAccount, REGION } from '../providers/aws-harness.ts';
import { createMount, urlOf } from '../providers/vault-harness.ts';
import { localstack, openbao } from '../services/inject.ts';
import { CLIENT_SECRET, openAzureStore } from './azure-store.ts';
import { type Run, runInProcess } from './program.ts';

// Tests rollback on each kind of store: both OpenBao engines and AWS on real servers, and Azure on a fake.

/** Unique values, so a search finds every place that contains one. */
const [FIRST, SECOND, THIRD] = ['first', 'second', 'third'].map((name) => textMarker(name)) as [
  ReturnType<typeof textMarker>,
  ReturnType<typeof textMarker>,
  ReturnType<typeof textMarker>,
];
const MARKERS = [FIRST, SECOND, THIRD, textMarker('the client secret', () => CLIENT_SECRET)];
const text = ({ bytes }: typeof FIRST): string => bytes.toString('utf8');

interface Bench extends AsyncDisposable {
  /** Writes a new version into the store. */
  put(value: string): Promise<unknown>;
  run(...args: readonly string[]): Promise<Run>;
  /** Returns the value in the Secret. */
  secretValue(): Promise<string>;
  /** Returns the sequence number of the last change's record. */
  lastChange(): Promise<number>;
  leaks(): Promise<readonly string[]>;
}

async function openBench(
  store: Readonly<Record<string, unknown>>,
  key: string,
  put: Bench['put'],
  env: Readonly<Record<string, string>>,
): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'secretbridge-back-'));
  const printed: { name: string; bytes: string }[] = [];
  const config = {
    apiVersion: 'secretbridge.dev/v1',
    instance: 'prod',
    cluster: { kind: 'directory', path: './cluster' },
    stores: [{ name: 's', ...store }],
    mappings: [{ name: 'db', target: { namespace: 'apps' }, data: { VALUE: { store: 's', key } } }],
  };
  await writeFile(join(folder, 'secretbridge.yaml'), JSON.stringify(config));
  const run: Bench['run'] = async (...args) => {
    const result = await runInProcess([...args, '--log-level', 'debug'], { cwd: folder, env });
    printed.push({ name: args.join(' '), bytes: result.stdout + result.stderr });
    return result;
  };
  const secret = async () =>
    parse(await readFile(join(folder, 'cluster/apps/db.yaml'), 'utf8')) as { data: Record<string, string> };
  return {
    put,
    run,
    secretValue: async () => Buffer.from((await secret()).data.VALUE ?? '', 'base64').toString(),
    async lastChange() {
      const { stdout } = await run('audit', 'list', '--mapping', 'db', '--outcome', 'ok', '--output', 'json');
      const { records } = JSON.parse(stdout) as { records: { phase?: string; sequence: number }[] };
      return records.find(({ phase }) => phase === 'outcome')?.sequence ?? 0;
    },
    async leaks() {
      const files = await filesBelow(folder, (path) => path.startsWith('cluster/') || path.endsWith('.key'));
      return findLeaks([...printed, ...files], MARKERS);
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Writes each value and syncs it. Returns the sequence number of the record of each change. */
async function rotate(bench: Bench, ...values: readonly string[]): Promise<readonly number[]> {
  const changes: number[] = [];
  for (const value of values) {
    await bench.put(value);
    const { code, stdout, stderr } = await bench.run('sync');
    expect(code, stdout + stderr).toBe(0);
    changes.push(await bench.lastChange());
  }
  return changes;
}

const rollBack = (bench: Bench, to: number | undefined): Promise<Run> =>
  bench.run('rollback', 'db', '--to', String(to));

/** Checks a rollback on a store with versions. */
async function expectRollback(
  bench: Bench,
  to: number | undefined,
  previous: string,
  latest: string,
): Promise<void> {
  const { code, stderr } = await rollBack(bench, to);
  expect(code, stderr).toBe(0);
  expect(await bench.secretValue()).toBe(previous);
  expect(await bench.run('sync')).toMatchObject({ code: 0 });
  expect(await bench.secretValue()).toBe(previous);
  expect(await bench.run('unpin', 'db')).toMatchObject({ code: 0 });
  expect(await bench.secretValue()).toBe(latest);
}

/** Expects an error with this code, and no change of the Secret. */
async function expectRefused(bench: Bench, to: number | undefined, code: string): Promise<void> {
  const before = await bench.secretValue();
  expect(await rollBack(bench, to)).toMatchObject({ code: 4, stderr: expect.stringContaining(code) });
  expect(await bench.secretValue()).toBe(before);
  expect(await bench.run('plan')).toMatchObject({ code: 0 });
}

async function openVaultBench(kvVersion: 1 | 2) {
  const bao = openbao();
  const mount = await createMount(bao, kvVersion);
  const send = async (method: string, path: string, body?: object): Promise<void> => {
    const { status } = await bao.request(method, `/v1/${path}`, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status}`);
  };
  const put = (value: string) =>
    send('POST', urlOf(mount, kvVersion, 'db'), kvVersion === 1 ? { value } : { data: { value } });
  const bench = await openBench(
    {
      ...{ kind: 'vault', address: bao.address, mount, kvVersion },
      auth: { method: 'token', token: { env: 'TOKEN' } },
    },
    'db',
    put,
    { TOKEN: bao.token },
  );
  return { bench, mount, send };
}

const json = (value: string): string => JSON.stringify({ value });

describe('OpenBao', () => {
  it('rolls back to any available version if the engine has version 2, and reports a missing version', async () => {
    const { bench, mount, send } = await openVaultBench(2);
    await using _ = bench;
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND), text(THIRD));
    await expectRollback(bench, first, json(text(FIRST)), json(text(THIRD)));

    await send('POST', `${mount}/delete/db`, { versions: [1] });
    await expectRefused(bench, first, 'VERSION_GONE');
    await send('POST', `${mount}/undelete/db`, { versions: [1] });
    await expectRollback(bench, first, json(text(FIRST)), json(text(THIRD)));
    await send('POST', `${mount}/destroy/db`, { versions: [1] });
    await expectRefused(bench, first, 'VERSION_GONE');

    // All versions disappear while the target is pinned. The Secret must keep its data.
    expect(await rollBack(bench, second)).toMatchObject({ code: 0 });
    await send('DELETE', `${mount}/metadata/db`);
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.secretValue()).toBe(json(text(SECOND)));

    // The versions of a recreated secret start at 1 again, so version 2 now has other content than the pinned version
    // 2.
    await bench.put('recreated');
    await bench.put('recreated, second version');
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.secretValue()).toBe(json(text(SECOND)));
    expect(await bench.run('unpin', 'db')).toMatchObject({ code: 0 });
    expect(await bench.secretValue()).toBe(json('recreated, second version'));
    await expectRefused(bench, second, 'VERSION_GONE');
    expect(await bench.run('audit', 'verify')).toMatchObject({ code: 0 });
    expect(await bench.leaks()).toEqual([]);
  });

  it('rolls back only to the versions that engine version 2 retains', async () => {
    const { bench, mount, send } = await openVaultBench(2);
    await using _ = bench;
    await send('POST', `${mount}/metadata/db`, { max_versions: 2 });
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND), text(THIRD));
    await expectRefused(bench, first, 'VERSION_GONE');
    await expectRollback(bench, second, json(text(SECOND)), json(text(THIRD)));
  });

  it('rolls back only to the current value if the engine has version 1, which keeps no old versions', async () => {
    const { bench } = await openVaultBench(1);
    await using _ = bench;
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND));
    await expectRefused(bench, first, 'VERSION_GONE');
    expect(await rollBack(bench, second)).toMatchObject({ code: 0 });
    await bench.put(text(THIRD));
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.secretValue()).toBe(json(text(SECOND)));
    // The store contains the first value again.
    await bench.put(text(FIRST));
    expect(await rollBack(bench, first)).toMatchObject({ code: 0 });
    expect(await bench.secretValue()).toBe(json(text(FIRST)));
    expect(await bench.leaks()).toEqual([]);
  });
});

describe('AWS Secrets Manager', () => {
  it('rolls back to the previous version, and reports a deleted secret', async () => {
    using account = openAccount();
    const auth = { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } };
    const store = { kind: 'aws-secrets-manager', region: REGION, endpoint: localstack().address, auth };
    await using bench = await openBench(store, 'db', (value) => account.put('db', value), account.env);
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND));
    await expectRollback(bench, first, text(FIRST), text(SECOND));
    expect(await rollBack(bench, first)).toMatchObject({ code: 0 });
    expect(await rollBack(bench, second)).toMatchObject({ code: 0 });
    await account.remove('db', 'schedule');
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('SOURCE_DELETED'),
    });
    await account.remove('db', 'force');
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.secretValue()).toBe(text(SECOND));
    expect(await rollBack(bench, first)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.leaks()).toEqual([]);
  });
});

describe('Azure Key Vault', { tags: ['long'] }, () => {
  it('rolls back to any version, and reports a purged version', async () => {
    await using azure = await openAzureStore();
    const { server, store, env } = azure;
    await using bench = await openBench(store, 'db', async (value) => server.secrets.put('db', value), env);
    const [first] = await rotate(bench, text(FIRST), text(SECOND), text(THIRD));
    await expectRollback(bench, first, text(FIRST), text(THIRD));
    server.secrets.remove('db');
    server.secrets.purge('db');
    expect(await rollBack(bench, first)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.secretValue()).toBe(text(THIRD));
    expect(await bench.leaks()).toEqual([]);
  });
});
