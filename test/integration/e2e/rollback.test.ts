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
import { type Run, runHere } from './program.ts';

// Going back on each kind of store: OpenBao's two engines and AWS' own client on real servers, Azure's SDK on a double.

/** Values that are nowhere else, so that a search for them finds each place that has one. */
const [FIRST, SECOND, THIRD] = ['first', 'second', 'third'].map((name) => textMarker(name)) as [
  ReturnType<typeof textMarker>,
  ReturnType<typeof textMarker>,
  ReturnType<typeof textMarker>,
];
const MARKERS = [FIRST, SECOND, THIRD, textMarker('the client secret', () => CLIENT_SECRET)];
const text = ({ bytes }: typeof FIRST): string => bytes.toString('utf8');

interface Bench extends AsyncDisposable {
  /** Puts a value into the store, as its next version. */
  put(value: string): Promise<unknown>;
  run(...args: readonly string[]): Promise<Run>;
  /** What the Secret holds. */
  holds(): Promise<string>;
  /** The record of the last change. */
  last(): Promise<number>;
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
    const result = await runHere([...args, '--log-level', 'debug'], { cwd: folder, env });
    printed.push({ name: args.join(' '), bytes: result.stdout + result.stderr });
    return result;
  };
  const secret = async () =>
    parse(await readFile(join(folder, 'cluster/apps/db.yaml'), 'utf8')) as { data: Record<string, string> };
  return {
    put,
    run,
    holds: async () => Buffer.from((await secret()).data.VALUE ?? '', 'base64').toString(),
    async last() {
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

/** Rotates through the values, and gives the record of each change. */
async function rotate(bench: Bench, ...values: readonly string[]): Promise<readonly number[]> {
  const changes: number[] = [];
  for (const value of values) {
    await bench.put(value);
    const { code, stdout, stderr } = await bench.run('sync');
    expect(code, stdout + stderr).toBe(0);
    changes.push(await bench.last());
  }
  return changes;
}

const back = (bench: Bench, to: number | undefined): Promise<Run> =>
  bench.run('rollback', 'db', '--to', String(to));

/** What is the same on every store that has versions. */
async function goesBack(bench: Bench, to: number | undefined, then: string, now: string): Promise<void> {
  const { code, stderr } = await back(bench, to);
  expect(code, stderr).toBe(0);
  expect(await bench.holds()).toBe(then);
  expect(await bench.run('sync')).toMatchObject({ code: 0 });
  expect(await bench.holds()).toBe(then);
  expect(await bench.run('unpin', 'db')).toMatchObject({ code: 0 });
  expect(await bench.holds()).toBe(now);
}

/** Nothing was changed, and it is said why, by its code. */
async function isRefused(bench: Bench, to: number | undefined, code: string): Promise<void> {
  const before = await bench.holds();
  expect(await back(bench, to)).toMatchObject({ code: 4, stderr: expect.stringContaining(code) });
  expect(await bench.holds()).toBe(before);
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
  it('version 2: goes back to any version that is there, and knows one that is gone', async () => {
    const { bench, mount, send } = await openVaultBench(2);
    await using _ = bench;
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND), text(THIRD));
    await goesBack(bench, first, json(text(FIRST)), json(text(THIRD)));

    await send('POST', `${mount}/delete/db`, { versions: [1] });
    await isRefused(bench, first, 'VERSION_GONE');
    await send('POST', `${mount}/undelete/db`, { versions: [1] });
    await goesBack(bench, first, json(text(FIRST)), json(text(THIRD)));
    await send('POST', `${mount}/destroy/db`, { versions: [1] });
    await isRefused(bench, first, 'VERSION_GONE');

    // Pinned, and then all of it goes: nothing is taken away.
    expect(await back(bench, second)).toMatchObject({ code: 0 });
    await send('DELETE', `${mount}/metadata/db`);
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.holds()).toBe(json(text(SECOND)));

    // Made anew, it counts from 1 again: its version 2 is another one.
    await bench.put('anew');
    await bench.put('anew and on');
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.holds()).toBe(json(text(SECOND)));
    expect(await bench.run('unpin', 'db')).toMatchObject({ code: 0 });
    expect(await bench.holds()).toBe(json('anew and on'));
    await isRefused(bench, second, 'VERSION_GONE');
    expect(await bench.run('audit', 'verify')).toMatchObject({ code: 0 });
    expect(await bench.leaks()).toEqual([]);
  });

  it('version 2 keeps so many versions', async () => {
    const { bench, mount, send } = await openVaultBench(2);
    await using _ = bench;
    await send('POST', `${mount}/metadata/db`, { max_versions: 2 });
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND), text(THIRD));
    await isRefused(bench, first, 'VERSION_GONE');
    await goesBack(bench, second, json(text(SECOND)), json(text(THIRD)));
  });

  it('version 1 has no versions: only the value that it holds can be gone back to', async () => {
    const { bench } = await openVaultBench(1);
    await using _ = bench;
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND));
    await isRefused(bench, first, 'VERSION_GONE');
    expect(await back(bench, second)).toMatchObject({ code: 0 });
    await bench.put(text(THIRD));
    expect(await bench.run('sync')).toMatchObject({
      code: 4,
      stdout: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.holds()).toBe(json(text(SECOND)));
    // It holds the first one again.
    await bench.put(text(FIRST));
    expect(await back(bench, first)).toMatchObject({ code: 0 });
    expect(await bench.holds()).toBe(json(text(FIRST)));
    expect(await bench.leaks()).toEqual([]);
  });
});

describe('AWS Secrets Manager', () => {
  it('goes back to the version before, and knows when the secret is deleted and gone', async () => {
    using account = openAccount();
    const auth = { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } };
    const store = { kind: 'aws-secrets-manager', region: REGION, endpoint: localstack().address, auth };
    await using bench = await openBench(store, 'db', (value) => account.put('db', value), account.env);
    const [first, second] = await rotate(bench, text(FIRST), text(SECOND));
    await goesBack(bench, first, text(FIRST), text(SECOND));
    expect(await back(bench, first)).toMatchObject({ code: 0 });
    expect(await back(bench, second)).toMatchObject({ code: 0 });
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
    expect(await bench.holds()).toBe(text(SECOND));
    expect(await back(bench, first)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.leaks()).toEqual([]);
  });
});

describe('Azure Key Vault', { tags: ['long'] }, () => {
  it('goes back to any version, and says when it is disabled or purged', async () => {
    await using azure = await openAzureStore();
    const { server, store, env } = azure;
    await using bench = await openBench(store, 'db', async (value) => server.secrets.put('db', value), env);
    const [first] = await rotate(bench, text(FIRST), text(SECOND), text(THIRD));
    await goesBack(bench, first, text(FIRST), text(THIRD));
    server.secrets.remove('db');
    server.secrets.purge('db');
    expect(await back(bench, first)).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('VERSION_GONE'),
    });
    expect(await bench.holds()).toBe(text(THIRD));
    expect(await bench.leaks()).toEqual([]);
  });
});
