import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { LOGIN_REMEDY } from '../../../src/cluster/errors.ts';
import { ERRORS, type ErrorCode } from '../../../src/core/error-codes.ts';
import { isTransient } from '../../../src/core/errors.ts';
import { createAuthority } from '../../fakes/certificates.ts';
import { type Fault, type FaultProxy, startFaultProxy } from '../../fakes/fault-proxy.ts';
import { kubernetes, openbao } from '../services/inject.ts';
import { type Bench, type BenchOptions, openBench } from './bench.ts';
import { createPool } from './pool.ts';
import { startTlsProxy } from './tls-proxy.ts';

/** Faults of a key read, each with the expected error code. */
const FAULTS = {
  forbidden: 'ACCESS_DENIED',
  unauthorized: 'AUTH_FAILED',
  'wrong mount': 'MOUNT_NOT_FOUND',
  'not found, in HTML': 'BAD_ANSWER',
  throttled: 'THROTTLED',
  'throttled, for 2 seconds': 'THROTTLED',
  'throttled for an hour': 'THROTTLED',
  'server error': 'STORE_UNAVAILABLE',
  'bad gateway, in HTML': 'STORE_UNAVAILABLE',
  unavailable: 'STORE_UNAVAILABLE',
  sealed: 'STORE_UNAVAILABLE',
  hang: 'TIMEOUT',
  'hang in the body': 'TIMEOUT',
  reset: 'STORE_UNAVAILABLE',
  'connection reset in the body': 'STORE_UNAVAILABLE',
  cut: 'STORE_UNAVAILABLE',
  'truncated without a length': 'BAD_ANSWER',
  html: 'BAD_ANSWER',
  'wrong content type': 'BAD_ANSWER',
  'invalid JSON': 'BAD_ANSWER',
  'another JSON': 'BAD_ANSWER',
  empty: 'BAD_ANSWER',
  'not HTTP': 'BAD_ANSWER',
  redirect: 'BAD_ANSWER',
} as const satisfies Partial<Record<Fault, ErrorCode>>;

/**
 * The faults that every run of `npm test` includes. Only a long run includes the other faults, which are variants of
 * these.
 */
const SHORT_FAULTS = new Set(['forbidden', 'throttled', 'sealed', 'hang', 'cut', 'html']);
const isShort = ([fault]: readonly [string, ErrorCode]): boolean => SHORT_FAULTS.has(fault);

/** Faults of the login, each with the expected error code. */
const LOGIN_FAULTS = {
  'bad request': 'AUTH_FAILED',
  forbidden: 'AUTH_FAILED',
  unavailable: 'STORE_UNAVAILABLE',
  hang: 'TIMEOUT',
  html: 'BAD_ANSWER',
} as const satisfies Partial<Record<Fault, ErrorCode>>;

const MAPPINGS: BenchOptions['mappings'] = ({ prefix, namespace }) => `  - name: one
    target: { namespace: ${namespace} }
    data: { A: { store: vault, key: ${prefix}/one, property: a } }
  - name: two
    target: { namespace: ${namespace} }
    data:
      A: { store: vault, key: ${prefix}/one, property: a }
      B: { store: vault, key: ${prefix}/two, property: b, optional: true }
`;

async function openSynced(options: Partial<BenchOptions>): Promise<Bench> {
  const bench = await openBench({ mappings: MAPPINGS, timeout: '1500ms', inProcess: true, ...options });
  await bench.vault.put('one', { a: 'a-value' });
  await bench.vault.put('two', { b: 'b-value' });
  expect(await bench.sync()).toMatchObject({ code: 0, summary: { created: 2 } });
  return bench;
}

/**
 * Expects that a sync during the fault fails with `code` and changes no Secret. After the fault, the next sync must
 * succeed without a write. The audit must contain both syncs.
 */
async function expectHarmless(
  bench: Bench,
  code: ErrorCode,
  {
    begin,
    end,
    remedy = ERRORS[code].remedy,
  }: { begin: () => void | Promise<void>; end: () => void | Promise<void>; remedy?: string | undefined },
): Promise<void> {
  const before = await bench.secrets();
  const { length } = await bench.records();
  await begin();
  const report = await bench.sync();
  await end();
  const failed = { outcome: 'failed', code, remedy };
  expect(report).toMatchObject({
    code: isTransient(code) ? 1 : 4,
    ok: false,
    summary: { failed: 2 },
    targets: [failed, failed],
  });
  expect(report.stderr).not.toMatch(/^\s+at /m);
  expect(await bench.secrets()).toEqual(before);

  const during = (await bench.records()).slice(length);
  const failures = during.filter((record) => record.secret !== undefined && record.code === code);
  expect(failures.map(({ secret, outcome }) => `${secret} ${outcome}`).toSorted()).toEqual([
    'one failed',
    'two failed',
  ]);
  const after = await bench.sync();
  expect(after).toMatchObject({ code: 0, ok: true, summary: { unchanged: 2 } });
  expect(await bench.secrets()).toEqual(before);
  const recoveries = (await bench.records()).slice(length + during.length);
  expect(recoveries.filter(({ secret }) => secret !== undefined)).toMatchObject([
    { outcome: 'ok', note: 'in sync again' },
    { outcome: 'ok', note: 'in sync again' },
  ]);
}

interface Faulty extends AsyncDisposable {
  readonly bench: Bench;
  readonly proxy: FaultProxy;
}

async function openFaulty(): Promise<Faulty> {
  await using stack = new AsyncDisposableStack();
  const proxy = stack.use(await startFaultProxy(openbao().address));
  const bench = stack.use(await openSynced({ vaultAddress: () => proxy.address }));
  const owned = stack.move();
  return { bench, proxy, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** The cases mostly wait for timeouts and retries, so several cases run concurrently. */
describe('a fault between the bridge and OpenBao', () => {
  const benches = createPool(4, openFaulty);
  afterAll(() => benches[Symbol.asyncDispose]());

  const KEY_FAULTS = Object.entries(FAULTS);
  const KEY_TITLE = 'a fault during a key read (%s) causes %s and changes nothing';
  const LOGIN_CASES = Object.entries(LOGIN_FAULTS);
  const LOGIN_TITLE = 'a fault during the login (%s) causes %s and changes nothing';
  const expectHarmlessFault =
    (path: RegExp, remedies: Partial<Record<ErrorCode, string>> = {}) =>
    (fault: string, code: ErrorCode): Promise<void> =>
      benches.use(({ bench, proxy }) =>
        expectHarmless(bench, code, {
          begin: () => proxy.set(fault as Fault, path),
          end: () => proxy.set(undefined),
          remedy: remedies[code],
        }),
      );
  const atKey = expectHarmlessFault(/^\/v1\/secret\/data\//, {
    ACCESS_DENIED: expect.stringContaining('or correct `key` or `mount`'),
  });
  const atLogin = expectHarmlessFault(/\/login/);

  it.concurrent.each(KEY_FAULTS.filter(isShort))(KEY_TITLE, atKey);
  it.concurrent.each(KEY_FAULTS.filter((entry) => !isShort(entry)))(KEY_TITLE, { tags: ['long'] }, atKey);
  it.concurrent.each(LOGIN_CASES.filter(isShort))(LOGIN_TITLE, atLogin);
  it.concurrent.each(LOGIN_CASES.filter((entry) => !isShort(entry)))(
    LOGIN_TITLE,
    { tags: ['long'] },
    atLogin,
  );

  it('a fault affects only the targets that need the failing key', async () => {
    await using faulty = await openFaulty();
    const { bench, proxy } = faulty;
    await bench.vault.put('one', { a: 'rotated' });
    proxy.set('server error', /\/two$/);
    const report = await bench.sync();
    proxy.set(undefined);
    expect(report).toMatchObject({
      code: 1,
      targets: [
        { secret: 'one', outcome: 'updated' },
        { secret: 'two', outcome: 'failed', code: 'STORE_UNAVAILABLE' },
      ],
    });
    expect(await bench.sync()).toMatchObject({ code: 0, summary: { updated: 1, unchanged: 1 } });
  });

  it.each(['http://127.0.0.1:1', 'https://vault.invalid'])(
    'a sync reports STORE_UNAVAILABLE and changes nothing when %s is unreachable',
    async (address) => {
      await using bench = await openSynced({});
      await expectHarmless(bench, 'STORE_UNAVAILABLE', {
        begin: () => bench.configure({ vaultAddress: () => address }),
        end: () => bench.configure({ vaultAddress: (real) => real }),
      });
    },
  );
});

describe('untrusted TLS', () => {
  const authority = createAuthority();
  const good = authority.issue({ names: ['127.0.0.1'] });
  const day = 86_400_000;

  it.each([
    ['the certificate is for another name', authority.issue({ names: ['vault.example.org'] })],
    [
      'the certificate has expired',
      authority.issue({
        names: ['127.0.0.1'],
        notBefore: new Date(Date.now() - 9 * day),
        notAfter: new Date(Date.now() - day),
      }),
    ],
    ['the certificate has an unknown authority', createAuthority('Other CA').issue({ names: ['127.0.0.1'] })],
  ])('a sync reports TLS_FAILED and changes nothing when %s', async (_, untrusted) => {
    await using proxy = await startTlsProxy(openbao().address, good);
    await using bench = await openSynced({ tls: authority.ca, vaultAddress: () => proxy.address });
    await expectHarmless(bench, 'TLS_FAILED', {
      begin: () => proxy.useCertificate(untrusted),
      end: () => proxy.useCertificate(good),
    });
  });
});

describe('a connection to the cluster', () => {
  interface Kubeconfig {
    readonly clusters: readonly { readonly cluster: Record<string, unknown> }[];
    readonly users: readonly { readonly user: Record<string, unknown> }[];
  }

  it.each<[string, ErrorCode, (config: Kubeconfig) => void, string?]>([
    [
      'no server listens at its address',
      'CLUSTER_UNAVAILABLE',
      ({ clusters: [entry] }) => Object.assign(entry?.cluster ?? {}, { server: 'https://127.0.0.1:1' }),
    ],
    [
      'its certificate has another authority',
      'CLUSTER_UNAVAILABLE',
      ({ clusters: [entry] }) =>
        Object.assign(entry?.cluster ?? {}, {
          'certificate-authority-data': Buffer.from(createAuthority().ca).toString('base64'),
        }),
    ],
    [
      'it rejects our token',
      'CLUSTER_FORBIDDEN',
      ({ users: [entry] }) => Object.assign(entry?.user ?? {}, { token: 'not-a-token' }),
      LOGIN_REMEDY,
    ],
  ])('a sync fails for each target if %s (expected code: %s)', async (_, code, breakConfig, remedy) => {
    await using bench = await openSynced({});
    const good = await readFile(bench.kubeconfig, 'utf8');
    await expectHarmless(bench, code, {
      begin: async () => {
        const config = parse(good) as Kubeconfig;
        breakConfig(config);
        await writeFile(bench.kubeconfig, stringify(config));
      },
      end: () => writeFile(bench.kubeconfig, good),
      remedy,
    });
  });

  it('records only the first failure and the recovery if a quota is used up', async () => {
    await using bench = await openSynced({});
    const { request } = kubernetes();
    const { length } = await bench.records();
    const path = `/api/v1/namespaces/${bench.namespace}/resourcequotas`;
    const hard = { 'count/secrets': '1' };
    await request('POST', path, { metadata: { name: 'few' }, spec: { hard } });
    // This cluster has no controller that counts usage, so the test writes the status.
    const headers = { 'content-type': 'application/merge-patch+json' };
    await request('PATCH', `${path}/few/status`, { status: { hard, used: hard } }, headers);
    await request('DELETE', `/api/v1/namespaces/${bench.namespace}/secrets/one`);
    for (let tries = 0; tries < 3; tries += 1)
      expect(await bench.sync()).toMatchObject({ code: 4, summary: { failed: 1, unchanged: 1 } });
    await request('DELETE', `${path}/few`);
    expect(await bench.sync()).toMatchObject({ code: 0 });
    const records = (await bench.records()).slice(length).filter(({ secret }) => secret === 'one');
    expect(
      records.map(({ phase, outcome, code }) => [phase, outcome, code].filter(Boolean).join(' ')),
    ).toEqual(['intent ok', 'outcome failed CLUSTER_REFUSED', 'intent ok', 'outcome ok']);
  });

  it('changes nothing when the audit is not writable', async () => {
    await using bench = await openSynced({});
    await bench.vault.put('one', { a: 'rotated' });
    const before = await bench.secrets();
    const audit = join(bench.folder, 'state', 'audit.db');
    const good = await readFile(audit);
    await writeFile(audit, 'no database');
    const run = await bench.run('sync', '--output', 'json');
    await writeFile(audit, good);
    expect(run.code).toBe(1);
    expect(JSON.parse(run.stdout)).toMatchObject({ error: { code: 'AUDIT_UNAVAILABLE' } });
    expect(await bench.secrets()).toEqual(before);
  });
});
