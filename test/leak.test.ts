import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { printInternal } from '../src/cli/texts/output.ts';
import { AppError } from '../src/core/errors.ts';
import { SecretValue } from '../src/core/secret-value.ts';
import { Collector, openBench } from './cli/harness.ts';
import { FAULTS, startFaultProxy } from './fakes/fault-proxy.ts';
import { startVaultServer } from './fakes/vault-server.ts';
import {
  APP_ROLE,
  CREDENTIALS,
  config,
  ENV,
  FAILING_MAPPINGS,
  leaksOfSync,
  MARKERS,
  openScene,
  secretJson,
  startEchoServer,
  TOKEN,
  text,
  VALUES,
} from './leak-scene.ts';
import { countForms, filesBelow, findLeaks, formsOf } from './leak-search.ts';

const COMMANDS = [
  ['validate'],
  ['plan', '--all'],
  ['sync'],
  ['plan'],
  ['doctor'],
  ['audit', 'list'],
  ['audit', 'report'],
  ['audit', 'export', '--format', 'csv'],
  ['audit', 'export', '--format', 'ocsf'],
] as const;

describe('the leak search', () => {
  const haystack = Buffer.from('{"level":"debug"} lorem ipsum '.repeat(50));

  it.each(MARKERS.map((marker) => [marker.name, marker] as const))(
    'finds %s in every encoding',
    (_, marker) => {
      for (const [form, needle] of [...formsOf(marker.bytes), ...formsOf(marker.core)]) {
        const bytes = Buffer.concat([haystack, needle, haystack]);
        expect(findLeaks([{ name: 'log', bytes }], [marker]), form).not.toEqual([]);
      }
      expect(findLeaks([{ name: 'log', bytes: haystack }], [marker])).toEqual([]);
    },
  );

  it('finds a truncated value, and a value inside a longer encoded text', () => {
    const { plain, awkward } = VALUES;
    const cut = awkward.bytes.subarray(0, awkward.bytes.indexOf(awkward.core) + awkward.core.length);
    const basic = Buffer.from(`user:${text(plain)}:more`).toString('base64');
    expect(findLeaks([{ name: 'log', bytes: cut }], [awkward])).not.toEqual([]);
    expect(findLeaks([{ name: 'log', bytes: `Basic ${basic}` }], [plain])).not.toEqual([]);
    expect(findLeaks([{ name: 'log', bytes: JSON.stringify({ a: text(awkward) }) }], [awkward])).not.toEqual(
      [],
    );
    expect(findLeaks([{ name: 'log', bytes: inspect({ a: awkward.bytes }) }], [plain])).toEqual([]);
  });

  it('finds the values in the manifests of the cluster', async () => {
    await using server = await startVaultServer();
    server.addToken(ENV.TOKEN);
    server.put('secret', 'app', secretJson());
    await using scene = await openScene(config(server.address, TOKEN));
    await scene.run('sync');
    const manifests = await filesBelow(join(scene.bench.folder, 'cluster'));
    const found_ = findLeaks(manifests, Object.values(VALUES)).join('\n');
    for (const { name } of Object.values(VALUES)) expect(found_).toContain(name);
  });
});

describe(`${MARKERS.length} markers in ${countForms(MARKERS)} encodings do not leak`, () => {
  it.each([
    ['a token', TOKEN],
    ['AppRole', APP_ROLE],
  ])('no marker leaks in successful runs that log in with %s', async (_, login) => {
    await using server = await startVaultServer();
    server.addToken(ENV.TOKEN);
    Object.assign(server.appRole, { roleId: ENV.ROLE_ID, secretId: ENV.SECRET_ID });
    server.put('secret', 'app', secretJson());
    await using scene = await openScene(config(server.address, login));
    for (const command of COMMANDS) await scene.run(...command);
    server.put('secret', 'app', secretJson().replace('"plain":"', '"plain":"new-'));
    for (const command of COMMANDS) await scene.run(...command);
    await scene.run('audit', 'show', '3');
    const stdin = Readable.from([VALUES.file.bytes]);
    const traced = await scene.bench.runWith({ env: ENV, stdin }, 'audit', 'list', '--value');
    expect(traced.stdout).toMatch(/^local +file\.txt /m);
    expect(
      findLeaks([{ name: 'audit list --value', bytes: traced.stdout + traced.stderr }], MARKERS),
    ).toEqual([]);
    const places = await scene.places();
    expect(
      places.some(({ name, bytes }) => name === 'apps/all.yaml' && String(bytes).includes('sources')),
    ).toBe(true);
    expect(findLeaks(places, MARKERS)).toEqual([]);
  });

  it('no marker leaks when mappings fail with each kind of error', async () => {
    await using server = await startVaultServer();
    server.addToken(ENV.TOKEN);
    server.put('secret', 'app', secretJson());
    await using scene = await openScene(config(server.address, TOKEN) + FAILING_MAPPINGS);
    await scene.bench.write(
      'cluster/apps/theirs.yaml',
      `apiVersion: v1\nkind: Secret\nmetadata: { name: theirs, namespace: apps }\nstringData: { A: "${VALUES.file.core}" }\n`,
    );
    for (const command of COMMANDS) await scene.run(...command);
    const { json } = await scene.bench.runWith({ env: ENV }, 'sync', '--output', 'json');
    const { targets } = json as { targets: { code?: string }[] };
    expect(new Set(targets.map(({ code }) => code))).toEqual(
      new Set([
        undefined,
        'PROPERTY_MISSING',
        'NOT_AN_OBJECT',
        'DECODE_FAILED',
        'TLS_MISMATCH',
        'TYPE_KEYS_MISSING',
        'TOO_LARGE',
        'KEY_COLLISION',
        'VERSION_GONE',
        'NOT_OWNED',
      ]),
    );
    const places = (await scene.places()).filter(({ name }) => name !== 'apps/theirs.yaml');
    expect(findLeaks(places, MARKERS)).toEqual([]);
  });

  it('no marker leaks when the store rejects the credentials', async () => {
    await using server = await startVaultServer();
    for (const login of [TOKEN, APP_ROLE]) {
      await using scene = await openScene(config(server.address, login));
      for (const command of COMMANDS) await scene.run(...command);
      expect(findLeaks(await scene.places(), MARKERS)).toEqual([]);
    }
  });

  it(`no marker leaks during each of ${FAULTS.length} faults between the program and Vault`, async () => {
    await using server = await startVaultServer();
    server.addToken(ENV.TOKEN);
    server.put('secret', 'app', secretJson());
    const leaks = await Promise.all(
      FAULTS.map(async (fault) => {
        await using proxy = await startFaultProxy(server.address);
        await using scene = await openScene(config(proxy.address, TOKEN));
        proxy.set(fault, /^\/v1\/secret/);
        return await leaksOfSync(scene, fault);
      }),
    );
    expect(leaks.flat()).toEqual([]);
  }, 60_000);

  it.each([
    ['a token', TOKEN],
    ['AppRole', APP_ROLE],
  ])(
    'no marker leaks when errors of the server contain everything that the server knows (login with %s)',
    async (_, login) => {
      const statuses = [200, 204, 301, 400, 401, 403, 404, 405, 412, 429, 472, 500, 502, 503];
      const leaks = await Promise.all(
        statuses.map(async (status) => {
          await using echo = await startEchoServer(status);
          await using scene = await openScene(config(echo.address, login));
          return await leaksOfSync(scene, String(status));
        }),
      );
      expect(leaks.flat()).toEqual([]);
    },
    60_000,
  );
});

describe('unexpected errors', () => {
  it('prints no content of an unexpected error', () => {
    const stderr = new Collector();
    const vendor = Object.assign(new Error(`cannot send ${text(VALUES.plain)}`), {
      config: { headers: { 'x-vault-token': text(CREDENTIALS.token) } },
      body: VALUES.awkward.bytes,
    });
    vendor.cause = new Error(text(VALUES.member));
    for (const thrown of [
      vendor,
      text(VALUES.plain),
      { password: text(VALUES.plain) },
      new AggregateError([vendor], text(VALUES.file)),
      new AppError('STORE_UNAVAILABLE', { cause: vendor }),
    ])
      printInternal(stderr, thrown);
    expect(stderr.text).toContain('INTERNAL');
    expect(findLeaks([{ name: 'stderr', bytes: stderr.text }], MARKERS)).toEqual([]);
  });

  it('an error and a secret value reveal nothing, no matter how they are printed', () => {
    const error = new AppError('INTERNAL', { cause: new Error(text(VALUES.plain)) });
    const value = SecretValue.fromBytes(VALUES.plain.bytes);
    const printed = [error, value, { value }, [value], new Map([['a', value]])].flatMap((printable) => [
      String(printable),
      JSON.stringify(printable),
      inspect(printable, { depth: 9, showHidden: true, getters: true }),
      inspect(Object.assign(new Error('x', { cause: error }), { printable }), {
        depth: 9,
        showHidden: true,
      }),
    ]);
    expect(findLeaks([{ name: 'print', bytes: printed.join('\n') }], MARKERS)).toEqual([]);
  });
});

it('keeps the fingerprint key only in its file', async () => {
  await using bench = await openBench();
  const { stdout, stderr } = await bench.run('sync', '--log-level', 'debug', '--output', 'json');
  const key = Buffer.from(
    (await readFile(join(bench.folder, 'state', 'fingerprint.key'), 'utf8')).trim(),
    'base64',
  );
  const places = await filesBelow(bench.folder, (path) => path.endsWith('fingerprint.key'));
  const printed = [
    { name: 'stdout', bytes: stdout },
    { name: 'stderr', bytes: stderr },
  ];
  expect(findLeaks([...places, ...printed], [{ name: 'key', bytes: key, core: key }])).toEqual([]);
});
