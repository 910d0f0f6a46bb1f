import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseServiceError } from '../../src/cli/service/error.ts';
import { withoutMappings } from '../../src/cli/service/server-address.ts';
import { ERRORS, type ErrorCode } from '../../src/core/error-codes.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Status, TargetStatus } from '../../src/service/service.ts';
import { createAuthority } from '../fakes/certificates.ts';
import { LIVE, openService, UNWELL, WELL } from './fake-service.ts';
import { type Bench, DB, HEAD, openBench, type Result } from './harness.ts';

const TOKEN = 'a-token-of-ann';
const ESCAPE = String.fromCharCode(27);

const withToken = (bench: Bench, ...args: readonly string[]): Promise<Result> =>
  bench.runWith({ env: { SECRETBRIDGE_TOKEN: TOKEN } }, ...args);

/** Runs `status` against a service that gives this answer. Returns the exit code and the output. */
async function statusOf(status: object, ...args: readonly string[]): Promise<Result> {
  await using bench = await openBench();
  await using service = await openService({ 'GET /api/v1/status': { body: status } });
  return await withToken(bench, 'status', '--server', service.url, ...args);
}

const NEVER = { lastSuccess: null, staleSeconds: null };

const failing = (target: Partial<TargetStatus>): Status => ({
  ...WELL,
  targets: [{ mapping: 'm', namespace: 'a', secret: 's', state: 'failed', ...NEVER, ...target }],
});

describe('status', () => {
  it('`status` prints a short summary with the pinned targets and exits with 0 if no action is needed', async () => {
    const { code, stdout } = await statusOf(WELL);
    expect(code).toBe(0);
    expect(stdout).toBe(`prod-eu  secretbridge 0.2.0

up        engine   redis
up        audit    sqlite      record 4711
up        cluster  kubernetes

up        team-vault  vault  last read 12s ago
up        local       files  not read yet

up        events eu  sqs  last event 2m ago

pinned
  payments/db  mapping db, pinned to record 41

2 targets: 1 synced, 1 pinned.
`);
  });

  it.each([
    ['a: 1\nmappings:\n  - name: x\n\n# note\n  - name: y\nb: 2', 'a: 1\nb: 2'],
    ['mappings: # all\n- name: x\n  data: {}\n-\n  name: y\n---\nb: 2\n', '---\nb: 2\n'],
    ['mappings: [ { name: x } ]\nb: 2', 'mappings: [ { name: x } ]\nb: 2'],
    ['template:\n  mappings:\n    - x', 'template:\n  mappings:\n    - x'],
  ])('the configuration without its mappings: %j', (text, expected) => {
    expect(withoutMappings(text)).toBe(expected);
  });

  it('`status` lists targets out of sync, worst first, and prints each problem and its remedy once', async () => {
    const { code, stdout } = await statusOf(UNWELL);
    expect(code).toBe(1);
    const blocks = stdout.split('\n\n').map((block) => block.split('\n')[0]);
    expect(blocks[3]).toMatch(/^up +events eu +sqs +last event 2m ago$/);
    expect(stdout).toMatch(/^down +events ci +webhook +CREDENTIAL_MISSING, no event yet$/m);
    expect(blocks.slice(4)).toEqual([
      expect.stringMatching(/^failed {2}STORE_UNAVAILABLE: store aws-prod: /),
      expect.stringMatching(/^refused {2}NOT_OWNED: apps\/theirs: /),
      'waiting',
      'pinned',
      'held 5f2c9a01d3e4  web/gone  would lose TOKEN',
      '19 targets: 1 synced, 1 pinned, 1 waiting, 1 held, 1 refused, 14 failed.',
    ]);
    expect(stdout).toContain('  … and 4 more\n');
    expect(stdout).toContain('last synced 40m ago');
    expect(stdout).toContain(
      'down      aws-prod    aws-secrets-manager  STORE_UNAVAILABLE, paused (circuit breaker open)',
    );
    expect(stdout.match(/No action needed/g)).toHaveLength(1);
    expect(stdout).toMatch(
      /^ {2}QUEUE_UNAVAILABLE: the queue is unreachable\n {2}If the error persists, check `engine` and Redis\.$/m,
    );
    expect(stdout).not.toContain('payments/api');
  });

  it('`status` prints a remedy only once if the audit log and stores have several problems with that remedy', async () => {
    const audit = { kind: 'sqlite', state: 'down', sequence: 12, code: 'AUDIT_TRUNCATED' };
    const denied = { name: 'ours', kind: 'vault', state: 'down', code: 'ACCESS_DENIED', lastSuccess: null };
    const stores = [denied, { ...denied, name: 'theirs' }];
    const { stdout } = await statusOf({ ...WELL, audit, stores, targets: [] });
    expect(stdout).toContain(`down      audit    sqlite      AUDIT_TRUNCATED
up        cluster  kubernetes
  AUDIT_TRUNCATED: ${ERRORS.AUDIT_TRUNCATED.message}
  ${ERRORS.AUDIT_TRUNCATED.remedy}
`);
    const { remedy } = ERRORS.ACCESS_DENIED;
    expect(stdout.split(remedy)).toHaveLength(2);
    const explained = await statusOf({ ...failing({ code: 'ACCESS_DENIED', remedy }), stores });
    expect(explained.stdout.split(remedy)).toHaveLength(2);
  });

  it('`status` lists every target if --all is given', async () => {
    const { stdout } = await statusOf(UNWELL, '--all');
    for (const { namespace, secret } of UNWELL.targets) expect(stdout).toContain(`  ${namespace}/${secret} `);
  });

  it('`status` lists the replicas whose configuration differs', async () => {
    const { stdout, code } = await statusOf({
      ...WELL,
      config: { valid: true, problems: [], differing: ['bridge-1', 'bridge-2'] },
    });
    expect(stdout).toContain('Other replicas use a different configuration: bridge-1, bridge-2.\n');
    expect(code).toBe(0);
  });

  it('`status` prints the answer of the service as JSON, including fields that only a newer service has', async () => {
    const body = { ...UNWELL, later: { more: true } };
    expect((await statusOf(body, '--output', 'json')).json).toEqual(body);
  });

  it.each<[number, string, Status]>([
    [0, 'nothing is configured', { ...WELL, targets: [], stores: [] }],
    [1, 'a failure is temporary', failing({ code: 'TIMEOUT' })],
    [4, 'a failure needs a person', failing({ code: 'ACCESS_DENIED' })],
    [4, 'a code is from a newer service', failing({ code: 'FROM_THE_FUTURE' })],
    [1, 'a target waits for its first run', failing({ state: 'waiting' })],
    [4, 'a target is kept without its source', failing({ state: 'stale', code: 'SOURCE_ABSENT' })],
    [4, 'a target is refused', failing({ state: 'refused', code: 'NOT_OWNED' })],
    [4, 'a target is contested', failing({ state: 'contested' })],
    [4, 'a target has drifted', failing({ state: 'drifted' })],
    [4, 'something is held', { ...WELL, held: UNWELL.held }],
    [1, 'the queue is down', { ...WELL, engine: UNWELL.engine }],
    [1, 'the audit store is down', { ...WELL, audit: { kind: 'postgres', state: 'down', sequence: 0 } }],
    [1, 'the cluster is down', { ...WELL, cluster: { kind: 'kubernetes', state: 'down' } }],
    [1, 'a store is down, but its targets are in sync', { ...WELL, stores: UNWELL.stores }],
    [3, 'the files are invalid', { ...WELL, config: { valid: false, problems: [{}], differing: [] } }],
  ])('`status` exits with code %i if %s', async (code, _, status) => {
    expect((await statusOf(status)).code).toBe(code);
  });

  it('`status` connects to the configured address, or to loopback if that address means all interfaces', async () => {
    await using service = await openService({ ...LIVE, 'GET /api/v1/status': { body: WELL } });
    for (const host of ['127.0.0.1', '0.0.0.0', 'localhost']) {
      await using bench = await openBench(`${HEAD}${DB}http: { listen: '${host}:${service.port}' }\n`);
      expect((await withToken(bench, 'status')).code).toBe(0);
    }
  });

  it('`status` reports that a store or target never succeeded, even if an older service omits the field', async () => {
    const status = failing({ code: 'NOT_OWNED' });
    const { json } = await statusOf(status, '--output', 'json');
    expect(json).toMatchObject({ stores: [{}, { lastSuccess: null }], targets: [NEVER] });
    const without = (status: object) =>
      Object.fromEntries(Object.entries(status).filter(([, value]) => value !== null));
    const older = { ...status, stores: status.stores.map(without), targets: status.targets.map(without) };
    const { code, stdout } = await statusOf(older);
    expect({ code, stdout }).toEqual({ code: 4, stdout: (await statusOf(status)).stdout });
    expect(stdout).toMatch(/local +files +not read yet/);
    expect(stdout).toMatch(/^ +a\/s +mapping m$/m);
  });

  it('`status` needs no configuration if --server is given', async () => {
    await using service = await openService({ 'GET /api/v1/status': { body: WELL } });
    await using bench = await openBench('instance: [');
    expect((await withToken(bench, 'status', '--server', service.url)).code).toBe(0);
    expect((await withToken(bench, 'status')).code).toBe(3);
  });

  it('`status` queries the service even if the configuration is invalid, provided that the service address is readable', async () => {
    const invalid = { ...WELL, config: { valid: false, problems: [{}], differing: [] } };
    await using service = await openService({ ...LIVE, 'GET /api/v1/status': { body: invalid } });
    const http = `http: { listen: '127.0.0.1:${service.port}' }\n`;
    for (const wrong of ['defaults: { refresh: soon }\n', 'log: { level: info }\nlog: { level: info }\n']) {
      await using bench = await openBench(`${HEAD}${DB}${http}${wrong}`);
      const { code, stdout, stderr } = await withToken(bench, 'status');
      expect({ code, stderr }).toEqual({ code: 3, stderr: '' });
      expect(stdout).toContain('prod-eu');
    }
  });

  it('`status` reports the invalid configuration if no service answers or the configuration has no service address', async () => {
    for (const http of ["listen: '127.0.0.1:1'", 'listen: here', "listen: '192.0.2.1:8080'"]) {
      await using bench = await openBench(`${HEAD}${DB}http: { ${http} }\ndefaults: { refresh: soon }\n`);
      const { code, stderr } = await withToken(bench, 'status');
      expect(code).toBe(3);
      expect(stderr).toContain('defaults.refresh');
    }
    await using bench = await openBench(`${HEAD}${DB}`);
    await bench.write('broken.yaml', 'a: [');
    const { code, stderr } = await withToken(bench, 'status', '--config', '.');
    expect(code).toBe(3);
    expect(stderr).toContain('broken.yaml');
  });

  it('`status` escapes control characters in the answer of the service', async () => {
    const name = `x${ESCAPE}[31m\u0007\u202e`;
    const bad = JSON.parse(
      JSON.stringify(UNWELL).replaceAll(/"(theirs|team-vault|prod-eu)"/g, JSON.stringify(name)),
    );
    const { stdout } = await statusOf(bad, '--all');
    expect(stdout).not.toMatch(/[^\P{C}\n]/u);
    // The output shows the escaped character. Without the escape, the text would look like `x[31m`.
    expect(stdout).toContain('x\\u{1B}[31m\\u{7}\\u{202E}');
  });
});

describe('unreachable service', () => {
  const refused = async (args: readonly string[], service?: { url: string }) => {
    await using bench = await openBench();
    const all = [...args, ...(service === undefined ? [] : ['--server', service.url])];
    const { code, stdout, stderr } = await withToken(bench, ...all);
    expect(stdout).toBe('');
    return { code, stderr };
  };

  it('a command exits with 1 and prints a clear error if no service listens at the address', async () => {
    for (const command of [['status'], ['sync'], ['release', 'abc']]) {
      const { code, stderr } = await refused([...command, '--server', 'http://127.0.0.1:1']);
      expect(code).toBe(1);
      expect(stderr).toContain('error SERVICE_UNAVAILABLE: http://127.0.0.1:1: ');
      expect(stderr).toContain('the connection was refused');
    }
  });

  it.each([
    ['another service', { body: '<html>hello</html>' }, 'has an unknown format'],
    ['one that redirects', { status: 302, body: '', headers: { location: '/x' } }, 'with status 302'],
    ['a proxy that fails', { status: 502, body: 'bad gateway' }, 'with status 502'],
    [
      'a newer one with another error',
      { status: 418, body: { code: 'TEAPOT', message: 'no' } },
      'status 418',
    ],
  ])('a command reports an error if %s answers instead of the service', async (_, answer, expected) => {
    await using service = await openService({ 'GET /api/v1/status': answer });
    const { code, stderr } = await refused(['status'], service);
    expect(code).toBe(1);
    expect(stderr).toContain(expected);
  });

  it('a command prints one JSON object with the error if no service answers and the output is JSON', async () => {
    await using bench = await openBench();
    const { code, json } = await withToken(
      bench,
      'status',
      '--server',
      'http://127.0.0.1:1',
      '--output',
      'json',
    );
    expect(code).toBe(1);
    expect(json).toEqual({
      error: { code: 'SERVICE_UNAVAILABLE', message: expect.any(String), remedy: expect.any(String) },
    });
  });

  it('a command stops waiting for the service on Ctrl-C', async () => {
    await using bench = await openBench();
    const stop = new AbortController();
    await using service = await openService({
      'GET /api/v1/status': () => {
        stop.abort(new AppError('INTERRUPTED'));
        return { body: WELL };
      },
    });
    const context = { env: { SECRETBRIDGE_TOKEN: TOKEN }, signal: stop.signal };
    const { code, stderr } = await bench.runWith(context, 'status', '--server', service.url);
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('INTERRUPTED') });
  });
});

describe('token', () => {
  it.each([
    ['the service of another instance', { body: { ok: true, stalled: [], instance: 'test' } }],
    ['an older service, which does not name its instance', { body: { ok: true, stalled: [] } }],
    ['a program that is no secretbridge service', { body: '<html>hello</html>' }],
  ])('the token is not sent to %s at the configured address', async (_, body) => {
    await using service = await openService({ 'GET /livez': body, 'GET /api/v1/status': { body: WELL } });
    const http = `http: { listen: '127.0.0.1:${service.port}' }\n`;
    for (const wrong of ['', 'defaults: { refresh: soon }\n']) {
      await using bench = await openBench(`${HEAD}${DB}${http}${wrong}`);
      const { code, stdout } = await withToken(bench, 'status');
      expect({ code, stdout }).toEqual({ code: wrong === '' ? 1 : 3, stdout: '' });
    }
    expect(service.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });

  it('`status` names the instance that answers at the configured address, and what to do', async () => {
    await using service = await openService({
      'GET /livez': { body: { ok: true, stalled: [], instance: 'test' } },
    });
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '127.0.0.1:${service.port}' }\n`);
    const { stderr } = await withToken(bench, 'status');
    expect(stderr).toContain('it is the service of instance test, not of prod');
    expect(stderr).toContain('`--server`');
  });

  it('the token is sent only to the server that the user gave', async () => {
    await using other = await openService({});
    await using service = await openService({
      'GET /api/v1/status': { status: 307, body: '', headers: { location: `${other.url}/api/v1/status` } },
    });
    await using bench = await openBench();
    const { stdout, stderr } = await withToken(bench, 'status', '--server', service.url);
    expect(service.requests.map(({ headers }) => headers.authorization)).toEqual([`Bearer ${TOKEN}`]);
    expect(other.requests).toEqual([]);
    expect(`${stdout}${stderr}`).not.toContain(TOKEN);
  });

  it.each([undefined, '', 'a b', 'a\r\nx: y', 'ключ'])(
    'the token is rejected without a request if it is %j',
    async (token) => {
      await using service = await openService({});
      await using bench = await openBench();
      const env = { SECRETBRIDGE_TOKEN: token };
      const { code, stderr } = await bench.runWith({ env }, 'status', '--server', service.url);
      expect(code).toBe(4);
      expect(stderr).toContain('SECRETBRIDGE_TOKEN');
      expect(service.requests).toEqual([]);
    },
  );

  it.each([
    'http://secretbridge.internal:8080',
    'http://10.0.0.5',
    'ftp://127.0.0.1',
    'secretbridge',
    '127.0.0.1:8080',
    'https://ann:hunter2@host',
    'https://host/?a=b',
    'https://host/#a',
  ])('the token is not sent to the invalid address %s', async (server) => {
    await using bench = await openBench();
    for (const command of [['status'], ['sync'], ['release', 'x']]) {
      const { code, stderr } = await withToken(bench, ...command, '--server', server);
      expect(code).toBe(64);
      expect(stderr).toMatch(/^error: --server must /);
      expect(stderr).not.toContain('hunter2');
    }
  });

  it('the token is not sent over plain http to an address from the configuration', async () => {
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '192.0.2.1:8080' }\n`);
    const { code, stderr } = await withToken(bench, 'status');
    expect(code).toBe(64);
    expect(stderr).toContain('`http.listen`');
  });

  it.each<[ErrorCode, number, number]>([
    ['UNAUTHENTICATED', 401, 4],
    ['FORBIDDEN', 403, 4],
    ['AUDIT_UNAVAILABLE', 503, 1],
    ['INTERNAL', 500, 1],
  ])(
    '`status` reports the error that the service returns for a request with a token: %s',
    async (code, status, exit) => {
      await using bench = await openBench();
      const { message, remedy } = new AppError(code);
      await using service = await openService({
        'GET /api/v1/status': { status, body: { code, message, remedy, requestId: 'r1' } },
      });
      const answer = await withToken(bench, 'status', '--server', service.url, '--output', 'json');
      expect(answer.code).toBe(exit);
      expect(answer.json).toMatchObject({ error: { code } });
    },
  );
});

describe('error of the service', () => {
  it('an error of the service has the message that a local command would print', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9 /-]{0,20}[a-z0-9]$/);
    fc.assert(
      fc.property(
        fc.constantFrom(...(Object.keys(ERRORS) as ErrorCode[])),
        fc.option(name, { nil: undefined }),
        fc.option(name, { nil: undefined }),
        (code, about, detail) => {
          const serviceMessage = new AppError(code, {
            ...(about === undefined ? {} : { subject: about }),
            ...(detail === undefined ? {} : { detail }),
          });
          expect(parseServiceError(code, serviceMessage.message).toJSON()).toEqual(serviceMessage.toJSON());
        },
      ),
    );
  });
});

describe('https', () => {
  const authority = createAuthority();

  it('a command trusts the configured server only if it presents the certificate in the configured file', async () => {
    const issued = authority.issue({ names: ['secretbridge.internal'] });
    await using service = await openService({ ...LIVE, 'GET /api/v1/status': { body: WELL } }, issued);
    const http = `http: { listen: '127.0.0.1:${service.port}', tls: { certFile: ./tls.crt, keyFile: ./tls.key } }\n`;
    await using bench = await openBench(`${HEAD}${DB}${http}`);
    await bench.write('tls.crt', issued.cert + authority.ca);
    expect(await withToken(bench, 'status')).toMatchObject({ code: 0, stderr: '' });
    // Another server at this address, with a certificate of the same CA.
    await bench.write('tls.crt', authority.issue({ names: ['secretbridge.internal'] }).cert + authority.ca);
    const { code, stderr } = await withToken(bench, 'status');
    expect(code).toBe(1);
    expect(stderr).toContain('the server certificate is for another name');
    expect(stderr).toContain('Check the certificate of the service');
    await bench.write('tls.crt', 'nothing');
    expect((await withToken(bench, 'status')).stderr).toContain('is not a certificate');
    // `GET /livez` carries no token.
    expect(service.requests.filter(({ line }) => line !== 'GET /livez')).toHaveLength(1);
  });

  it('a command trusts the CAs of the system and of NODE_EXTRA_CA_CERTS for every server except the configured server', async () => {
    const issued = authority.issue({ names: ['127.0.0.1'] });
    await using service = await openService({ 'GET /api/v1/status': { body: WELL } }, issued);
    await using bench = await openBench();
    await bench.write('ca.pem', authority.ca);
    expect(await withToken(bench, 'status', '--server', service.url)).toMatchObject({
      code: 1,
      // The server answered, so the remedy does not ask whether the service runs.
      stderr: expect.stringMatching(/not trusted\)\n {2}Check the certificate .* NODE_EXTRA_CA_CERTS/),
    });
    const child = await runProcess(bench, ['status', '--server', service.url], {
      NODE_EXTRA_CA_CERTS: resolve(bench.folder, 'ca.pem'),
    });
    expect(child).toMatchObject({ status: 0 });
    const careless = { NODE_TLS_REJECT_UNAUTHORIZED: '0' };
    expect(await runProcess(bench, ['status', '--server', service.url], careless)).toMatchObject({
      status: 1,
    });
    expect(service.requests).toHaveLength(1);
  });
});

const MAIN = resolve(import.meta.dirname, '../../src/main.ts');

async function runProcess(bench: Bench, args: readonly string[], more: Record<string, string>) {
  const env = { PATH: process.env.PATH, SECRETBRIDGE_TOKEN: TOKEN, ...more };
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: bench.folder, env, stdio: 'ignore' });
  const status = await new Promise<number | null>((done) => child.on('exit', done));
  return { status };
}

const answer = (mapping: string, more: object = {}) => ({
  ok: true,
  requestId: `r-${mapping}`,
  summary: { created: 0, updated: 1, deleted: 0, unchanged: 0, refused: 0, held: 0, failed: 0 },
  targets: [
    {
      mapping,
      namespace: 'apps',
      secret: mapping,
      outcome: 'updated',
      keys: [{ name: 'A', action: 'change' }],
    },
  ],
  held: [],
  warnings: [],
  pending: 0,
  ...more,
});

describe('sync --server', () => {
  it('`sync --server` syncs one mapping through the service, and changes no local files', async () => {
    const target = { mapping: 'db', namespace: 'apps', secret: 'db' };
    const body = answer('db', { warnings: [{ code: 'SOURCE_ABSENT', ...target, message: 'm' }] });
    await using service = await openService({ 'POST /api/v1/mappings/db/sync': { body } });
    await using bench = await openBench();
    const { code, stdout, stderr } = await withToken(
      bench,
      'sync',
      '--mapping',
      'db',
      '--server',
      service.url,
    );
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'updated   apps/db  A\n\n1 target: 1 updated.\n' });
    expect(stderr).toBe('warning SOURCE_ABSENT: apps/db: m\n');
    await expect(bench.read('cluster/apps/db.yaml')).rejects.toThrow('ENOENT');
    await expect(bench.read('state/audit.db')).rejects.toThrow('ENOENT');
  });

  it('`sync --server` syncs all mappings page by page if no mapping is given', async () => {
    const names = Array.from({ length: 25 }, (_, n) => `m${String(n).padStart(2, '0')}`);
    const page = (list: readonly string[], next?: string) => ({
      body: { mappings: list.map((mapping) => ({ mapping })), ...(next === undefined ? {} : { next }) },
    });
    await using service = await openService({
      'GET /api/v1/mappings': page(names.slice(0, 20), 'a b'),
      'GET /api/v1/mappings?cursor=a%20b': page([...names.slice(20), 'gone']),
      'GET /api/v1/held': { body: { held: [] } },
      ...Object.fromEntries(
        names.map((name) => [`POST /api/v1/mappings/${name}/sync`, { body: answer(name) }]),
      ),
    });
    await using bench = await openBench();
    const { code, json } = await withToken(bench, 'sync', '--server', service.url, '--output', 'json');
    expect(code).toBe(0);
    const { summary, targets, ok } = json as ReturnType<typeof answer>;
    expect({ ok, updated: summary.updated }).toEqual({ ok: true, updated: 25 });
    expect(targets.map(({ secret }) => secret)).toEqual(names);
  });

  it('`sync --server` waits and retries if the service throttles its requests', async () => {
    let calls = 0;
    const { message, remedy } = new AppError('RATE_LIMITED');
    await using service = await openService({
      'POST /api/v1/mappings/db/sync': () => {
        calls += 1;
        if (calls > 2) return { body: answer('db') };
        return {
          status: 429,
          body: { code: 'RATE_LIMITED', message, remedy },
          headers: { 'retry-after': '0' },
        };
      },
    });
    await using bench = await openBench();
    expect((await withToken(bench, 'sync', '--mapping', 'db', '--server', service.url)).code).toBe(0);
    expect(calls).toBe(3);
  });

  it.each([
    ['temporary failure', { outcome: 'failed', code: 'TIMEOUT', message: 'm', remedy: 'r' }, {}, 1],
    ['permanent failure', { outcome: 'failed', code: 'PROPERTY_MISSING', message: 'm', remedy: 'r' }, {}, 4],
    ['refusal', { outcome: 'refused', code: 'NOT_OWNED', message: 'm', remedy: 'r' }, { refused: 1 }, 4],
  ])(
    '`sync --server` exits with the code that belongs to the outcome %s',
    async (_, target, summary, exit) => {
      const base = answer('db');
      const body = {
        ...base,
        ok: false,
        summary: { ...base.summary, ...summary },
        targets: base.targets.map((baseTarget) => ({ ...baseTarget, ...target })),
      };
      await using service = await openService({ 'POST /api/v1/mappings/db/sync': { body } });
      await using bench = await openBench();
      const { code, stdout } = await withToken(bench, 'sync', '--mapping', 'db', '--server', service.url);
      expect(code).toBe(exit);
      expect(stdout).toContain(`${target.code}: m\n  r\n`);
    },
  );

  it('`sync --server` exits with 1 and lists the targets whose sync has not ended', async () => {
    const body = answer('db', { pending: 2 });
    await using service = await openService({ 'POST /api/v1/mappings/db/sync': { body } });
    await using bench = await openBench();
    const { code, stdout } = await withToken(bench, 'sync', '--mapping', 'db', '--server', service.url);
    expect(code).toBe(1);
    expect(stdout).toContain('The service is still working on 2 targets');
  });

  it('`sync --server` rejects an unknown mapping as a usage error', async () => {
    await using service = await openService({});
    await using bench = await openBench();
    const { code, stderr } = await withToken(bench, 'sync', '--mapping', 'no/pe', '--server', service.url);
    expect(code).toBe(64);
    expect(stderr).toContain('there is no mapping "no/pe" in the service');
    expect(service.requests.map(({ line }) => line)).toEqual(['POST /api/v1/mappings/no%2Fpe/sync']);
  });

  it('`sync --server` exits with 4 while a change is held, even if the mapping of that change was removed', async () => {
    const hold = (mapping: string, secret: string) => ({
      id: `id-${secret}`,
      mapping,
      namespace: 'apps',
      secret,
      action: 'delete',
      keys: [{ name: 'A', action: 'remove' }],
    });
    const first = hold('db', 'before');
    await using service = await openService({
      'GET /api/v1/mappings': { body: { mappings: [{ mapping: 'db' }] } },
      // Older services answer in this format.
      'POST /api/v1/mappings/db/sync': { body: answer('db', { held: [first] }) },
      'GET /api/v1/held': { body: { held: [first], next: 'apps!before!id' } },
      'GET /api/v1/held?cursor=apps!before!id': { body: { held: [hold('gone', 'away')] } },
    });
    await using bench = await openBench();
    const ask = (...args: readonly string[]) => withToken(bench, 'sync', '--server', service.url, ...args);
    const all = await ask('--output', 'json');
    expect(all.code).toBe(4);
    expect(all.json).toMatchObject({
      ok: false,
      summary: { updated: 1, held: 2 },
      targets: [
        { mapping: 'gone', secret: 'away', outcome: 'held', code: 'HELD' },
        { mapping: 'db', secret: 'before', outcome: 'held', code: 'HELD' },
        { mapping: 'db', secret: 'db', outcome: 'updated' },
      ],
      held: [{ id: 'id-away' }, { id: 'id-before' }],
    });
    const { code, stdout } = await ask('--mapping', 'db');
    expect(code).toBe(4);
    expect(stdout).toContain('held id-before  apps/before  would lose A');
    expect(stdout).not.toContain('id-away');
  });
});

describe('release', () => {
  const released = { 'POST /api/v1/held/abc/release': { body: answer('db') } };

  it('`sync` and `release` use the service that answers at the configured address', async () => {
    await using service = await openService({ ...LIVE, ...released });
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '127.0.0.1:${service.port}' }\n`);
    expect((await withToken(bench, 'release', 'abc')).code).toBe(0);
    expect(service.requests.map(({ line, headers }) => [line, headers.authorization])).toEqual([
      ['GET /livez', undefined],
      ['POST /api/v1/held/abc/release', `Bearer ${TOKEN}`],
    ]);
  });

  it.each([
    ['no service answers there', undefined],
    ['another service answers there', { 'GET /livez': { body: '<html>' } }],
    ['another service answers in JSON', { 'GET /livez': { body: { status: 'UP' } } }],
    ['another instance answers', { 'GET /livez': { body: { ok: true, stalled: [], instance: 'dev' } } }],
  ])('`release` works without the service if %s', async (name, routes) => {
    await using service = await openService(routes ?? {});
    const port = routes === undefined ? 1 : service.port;
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '127.0.0.1:${port}' }\n`);
    const { code, stderr } = await withToken(bench, 'release', 'abc');
    expect(code).toBe(4);
    expect(stderr).toContain('NOT_HELD');
    expect(stderr.includes('is the service of instance dev, not of prod')).toBe(
      name === 'another instance answers',
    );
    expect(service.requests.map(({ headers }) => headers.authorization).filter(Boolean)).toEqual([]);
    expect(await bench.run('audit', 'list', '--action', 'command', '--output', 'json')).toMatchObject({
      code: 0,
    });
  });

  // This address resolves to this machine, but its text does not look like a loopback address.
  const MAPPED = '[::ffff:127.0.0.1]';

  it('`release` works without the service if nothing answers at a plain http address', async () => {
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '${MAPPED}:1' }\n`);
    const { code, stderr } = await bench.run('release', 'abc');
    expect([code, stderr]).toEqual([4, expect.stringContaining('NOT_HELD')]);
  });

  it('`release` sends no token over plain http, even if a service answers at the plain http address', async () => {
    await using service = await openService({ ...LIVE, ...released });
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '${MAPPED}:${service.port}' }\n`);
    const { code, stderr } = await withToken(bench, 'release', 'abc');
    expect([code, stderr]).toEqual([64, expect.stringContaining('`http.listen`')]);
    expect(service.requests.map(({ line, headers }) => [line, headers.authorization])).toEqual([
      ['GET /livez', undefined],
    ]);
  });

  it('`release` requires a token if a service answers', async () => {
    await using service = await openService({ ...LIVE, ...released });
    await using bench = await openBench(`${HEAD}${DB}http: { listen: '127.0.0.1:${service.port}' }\n`);
    const { code, stderr } = await bench.run('release', 'abc');
    expect(code).toBe(4);
    expect(stderr).toContain('SECRETBRIDGE_TOKEN');
  });
});

describe('serve', () => {
  it.each(['0s', 'soon', '25', '-1s'])('`serve` rejects the grace period %s', async (grace) => {
    await using bench = await openBench();
    const { code, stderr } = await bench.run('serve', `--grace=${grace}`);
    expect(code).toBe(64);
    expect(stderr).toBe('error: --grace must be a duration such as 25s or 2m\n');
  });
});
