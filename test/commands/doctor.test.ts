import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/core/error-codes.ts';
import { type Bench, openBench } from '../cli/harness.ts';
import { type ApiServer, startApiServer } from '../cluster/api-server.ts';
import { type Fault, type FaultProxy, startFaultProxy } from '../fakes/fault-proxy.ts';
import { startVaultServer, type VaultServer } from '../fakes/vault-server.ts';

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly code?: ErrorCode;
  readonly message?: string;
  readonly remedy?: string;
}

interface Scene extends AsyncDisposable {
  readonly server: VaultServer;
  readonly proxy: FaultProxy;
  readonly bench: Bench;
  readonly env: Record<string, string>;
  /**
   * Returns the failed checks of parts, as `<name>: <code>`. Each failed check must have a remedy. The plan of a target
   * then fails for the same reason.
   */
  failures(): Promise<readonly string[]>;
  checks(): Promise<readonly Check[]>;
}

const MAPPINGS = `mappings:
  - name: db
    target: { namespace: apps }
    data:
      USER: { store: vault, key: db, property: user }
      FILE: { store: local, key: db.json }
  - name: token
    target: { namespace: apps }
    data: { TOKEN: { store: vault, key: token, property: token } }
`;

async function openScene({
  store = '',
  cluster = '{ kind: directory, path: ./cluster }',
  // A time limit for answers that is long enough for a busy machine.
  timeout = '10s',
  more = '',
}: {
  readonly store?: string;
  readonly cluster?: string;
  readonly timeout?: string;
  readonly more?: string;
} = {}): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startVaultServer());
  server.put('secret', 'db', '{"user":"ann"}');
  server.put('secret', 'token', '{"token":"t"}');
  const proxy = stack.use(await startFaultProxy(server.address));
  const bench = stack.use(
    await openBench(`apiVersion: secretbridge.dev/v1
instance: prod
cluster: ${cluster}
stores:
  - { name: local, kind: files, path: ./store }
  - name: vault
    kind: vault
    address: ${proxy.address}
    auth: { method: token, token: { env: TOKEN } }
    limits: { timeout: ${timeout} }
${store}
${MAPPINGS.replaceAll('    data:', `${more}    data:`)}`),
  );
  bench.clock.set(Date.now());
  const env: Record<string, string> = { TOKEN: server.rootToken };
  const checks = async () => {
    const { json } = await bench.runWith({ env }, 'doctor', '--output', 'json');
    return (json as { checks: Check[] }).checks;
  };
  const owned = stack.move();
  return {
    server,
    proxy,
    bench,
    env,
    checks,
    async failures() {
      const failed = (await checks()).filter(({ ok, name }) => !ok && !name.startsWith('target: sync '));
      for (const { code, message, remedy } of failed) {
        expect(message).toContain(ERRORS[code ?? 'INTERNAL'].message);
        // The remedy is the default of the code, or a specific text that names the setting.
        if (remedy !== ERRORS[code ?? 'INTERNAL'].remedy)
          expect(remedy).toMatch(/`(cluster\.kubeconfig|audit\.(?:store|checkpoints)|key|mount)`.*\.$/);
      }
      return failed.map(({ name, code }) => `${name}: ${code}`);
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Expects all other checks to pass. */
async function expectOthersWell(scene: Scene): Promise<void> {
  const well = (await scene.checks()).filter(({ ok }) => ok).map(({ name }) => name);
  expect(well).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^audit: write /),
      expect.stringMatching(/^cluster: reach /),
      'target: write apps/db (mapping db)',
      'target: write apps/token (mapping token)',
      'store local: folder',
      'read store local, key db.json',
    ]),
  );
}

describe('doctor', () => {
  it('`doctor` passes if everything works', async () => {
    await using scene = await openScene();
    expect(await scene.failures()).toEqual([]);
    await expectOthersWell(scene);
  });

  it.each<[Fault, readonly string[]]>([
    ['unauthorized', ['store vault: login: AUTH_FAILED']],
    ['hang', ['store vault: reach: TIMEOUT']],
    ['sealed', ['store vault: reach: STORE_UNAVAILABLE']],
    ['reset', ['store vault: reach: STORE_UNAVAILABLE']],
    ['html', ['store vault: reach: BAD_ANSWER']],
    ['not HTTP', ['store vault: reach: BAD_ANSWER']],
    ['redirect', ['store vault: reach: BAD_ANSWER']],
  ])('`doctor` reports the failed check of a faulty store: %s', async (fault, failures) => {
    await using scene = await openScene(fault === 'hang' ? { timeout: '200ms' } : {});
    scene.proxy.set(fault);
    expect(await scene.failures()).toEqual(failures);
    await expectOthersWell(scene);
  });

  it('`doctor` reports the login check as failed if the token is invalid (403 for every request)', async () => {
    await using scene = await openScene();
    scene.env.TOKEN = 'another';
    expect(await scene.failures()).toEqual(['store vault: login: AUTH_FAILED']);
    await expectOthersWell(scene);
  });

  it('`doctor` reports the key that it is not allowed to read (403 for that key)', async () => {
    await using scene = await openScene();
    scene.server.deny(/data\/token/);
    expect(await scene.failures()).toEqual(['read store vault, key token: ACCESS_DENIED']);
    await expectOthersWell(scene);
  });

  it('`doctor` reports the missing key (404)', async () => {
    await using scene = await openScene();
    scene.server.remove('secret', 'token', 'forget');
    expect(await scene.failures()).toEqual(['read store vault, key token: SOURCE_ABSENT']);
  });

  it.each([
    // Vault answers 403 for a missing mount, even to root.
    ['that does not exist', '    mount: none', 'ACCESS_DENIED'],
    ['with another version', '    mount: kv1', 'MOUNT_NOT_FOUND'],
  ])('`doctor` reports a mount %s', async (_, store, code) => {
    await using scene = await openScene({ store });
    expect(await scene.failures()).toEqual([`store vault: mount: ${code}`]);
    await expectOthersWell(scene);
  });

  it('`doctor` reports an unresolvable address and an address without a listener', async () => {
    for (const address of ['https://vault.invalid', 'http://127.0.0.1:1']) {
      await using scene = await openScene();
      const config = await scene.bench.read('secretbridge.yaml');
      await scene.bench.write('secretbridge.yaml', config.replace(scene.proxy.address, address));
      expect(await scene.failures()).toEqual(['store vault: reach: STORE_UNAVAILABLE']);
      await expectOthersWell(scene);
    }
  });

  it('`doctor` reports the TLS failure of a server without TLS or with an untrusted certificate', async () => {
    await using scene = await openScene();
    const config = await scene.bench.read('secretbridge.yaml');
    await scene.bench.write('secretbridge.yaml', config.replace('http://', 'https://'));
    expect(await scene.failures()).toEqual(['store vault: reach: TLS_FAILED']);
    await expectOthersWell(scene);
  });

  it.each([
    [120_000, 'ahead of|behind'],
    [-120_000, 'ahead of|behind'],
  ])(
    '`doctor` reports clocks that differ by %d ms, and still tests the login and each key',
    async (skew, words) => {
      await using scene = await openScene();
      scene.server.skewMs = skew;
      scene.server.remove('secret', 'token', 'forget');
      expect(await scene.failures()).toEqual([
        'store vault: clock: CLOCK_SKEWED',
        'read store vault, key token: SOURCE_ABSENT',
      ]);
      const clock = (await scene.checks()).find(({ name }) => name === 'store vault: clock');
      expect(clock?.message).toMatch(new RegExp(`1(19|20|21) s (${words})`));
      await expectOthersWell(scene);
    },
  );

  it('`doctor` reports a missing credential', async () => {
    await using scene = await openScene();
    const { json } = await scene.bench.run('doctor', '--output', 'json');
    const failed = (json as { checks: Check[] }).checks.filter(({ ok }) => !ok);
    const why = { code: 'CREDENTIAL_MISSING', message: expect.stringContaining('TOKEN') };
    expect(failed).toMatchObject([why, ...['db', 'token'].map((secret) => ({ ...why, secret }))]);
    expect(failed[0]?.name).toMatch(/^store vault: /);
  });

  it('`doctor` reports an unwritable audit log, and still runs the other checks', async () => {
    await using scene = await openScene();
    await scene.bench.write('state/audit.db', 'no database');
    scene.server.deny(/data\/token/);
    expect(await scene.failures()).toEqual([
      `audit: write ${join(scene.bench.folder, 'state/audit.db')}: AUDIT_UNAVAILABLE`,
      'read store vault, key token: ACCESS_DENIED',
    ]);
  });

  it('`doctor` reports an invalid key file', async () => {
    await using scene = await openScene();
    await scene.bench.write('state/fingerprint.key', 'short');
    expect(await scene.failures()).toEqual(['keys: fingerprint: CREDENTIAL_MISSING']);
  });

  it('`doctor` reports a missing older fingerprint key, and still tests the stores', async () => {
    await using scene = await openScene({
      store: 'keys: { fingerprint: [ { file: ./state/fingerprint.key }, { env: OLDER_KEY } ] }',
    });
    expect(await scene.failures()).toEqual(['keys: fingerprint: CREDENTIAL_MISSING']);
    await expectOthersWell(scene);
  });

  it('`doctor` reports missing signed records', async () => {
    await using scene = await openScene();
    const plan = () => scene.bench.runWith({ env: scene.env }, 'plan');
    expect((await plan()).code).toBe(2);
    expect(await scene.failures()).toEqual([]);
    for (const end of ['', '-wal', '-shm'])
      await rm(join(scene.bench.folder, `state/audit.db${end}`), { force: true });
    expect((await plan()).stderr).toContain('AUDIT_TRUNCATED');
    expect(await scene.failures()).toEqual(['audit: checkpoints: AUDIT_TRUNCATED']);
  });

  it('`doctor` writes no checkpoint, and compares no checkpoint with an empty audit log', async () => {
    await using scene = await openScene();
    const names = (await scene.checks()).map(({ name }) => name);
    expect(names).not.toContain('audit: checkpoints');
    expect((await scene.checks()).map(({ name }) => name)).toContain('audit: checkpoints');
    await expect(scene.bench.read('state/checkpoints.jsonl')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('`doctor` reports unreadable checkpoints while the audit log is empty', async () => {
    await using scene = await openScene({
      store: 'audit: { checkpoints: [ { kind: file, path: ./store } ] }\n',
    });
    expect(await scene.failures()).toEqual(['audit: checkpoints: AUDIT_UNAVAILABLE']);
    // The first `sync` reports the same error as `doctor`.
    const { code, stderr } = await scene.bench.runWith({ env: scene.env }, 'sync');
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('AUDIT_UNAVAILABLE') });
  });

  it('`doctor` reports checkpoints that can be read but not written', async () => {
    await using scene = await openScene({
      store: 'audit: { checkpoints: [ { kind: file, path: ./busy } ] }\n',
    });
    expect(await scene.failures()).toEqual([]);
    // A running executable cannot be written, even by root.
    const busy = join(scene.bench.folder, 'busy');
    await copyFile('/bin/sleep', busy);
    const running = spawn(busy, ['600'], { argv0: 'sleep' });
    try {
      await once(running, 'spawn');
      expect(await scene.failures()).toEqual(['audit: checkpoints: AUDIT_UNAVAILABLE']);
      const { stderr } = await scene.bench.runWith({ env: scene.env }, 'plan');
      expect(stderr).toContain('warning AUDIT_UNAVAILABLE');
    } finally {
      running.kill();
    }
  });

  it('`doctor` reports an invalid checkpoint key', async () => {
    await using scene = await openScene();
    await scene.checks();
    await scene.bench.write('state/checkpoint.key', 'no key');
    expect(await scene.failures()).toEqual(['audit: checkpoints: CREDENTIAL_MISSING']);
  });

  it('`doctor` adds only the record of its own run to the audit log', async () => {
    await using scene = await openScene();
    await scene.checks();
    const { json } = await scene.bench.run('audit', 'list', '--output', 'json');
    expect((json as { records: object[] }).records).toMatchObject([{ action: 'command', note: 'doctor' }]);
  });
});

describe('doctor with a cluster', () => {
  const STATUS = (code: number) => JSON.stringify({ kind: 'Status', code, status: 'Failure' });

  /** @param more Additional fields of each mapping. */
  async function openOn(api: ApiServer, more = ''): Promise<Scene> {
    return openScene({ cluster: `{ kind: kubernetes, kubeconfig: ${api.kubeconfig} }`, more });
  }

  /** Allows every request that a test does not forbid. */
  function allowAll(
    api: ApiServer,
    forbid: (verb: string, name: string, resource: string) => boolean = () => false,
  ): void {
    api.answer(({ method, url, body }, response) => {
      const send = (code: number, answer: object) =>
        void response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      if (url.includes('selfsubjectaccessreviews')) {
        const { spec } = JSON.parse(body) as { spec: { resourceAttributes: Record<string, string> } };
        const { verb = '', name = '', group = '', resource = '' } = spec.resourceAttributes;
        return send(201, { status: { allowed: !forbid(verb, name, `${group}/${resource}`) } });
      }
      if (method === 'POST') {
        const { metadata, ...secret } = JSON.parse(body) as { metadata: object };
        return send(201, { ...secret, metadata: { ...metadata, uid: 'u', resourceVersion: '1' } });
      }
      return send(200, { major: '1', gitVersion: 'v1.36.3' });
    });
  }

  it('`doctor` reports each unwritable target with the missing verbs', async () => {
    await using api = await startApiServer();
    allowAll(api, (verb, secret) => verb === 'update' && secret === 'token');
    await using scene = await openOn(api);
    expect(await scene.failures()).toEqual(['target: write apps/token (mapping token): CLUSTER_FORBIDDEN']);
    const failed = (await scene.checks()).find(({ ok }) => !ok);
    expect(failed?.message).toContain('update');
  });

  it('`doctor` reports each workload without restart permission once, even if the workload does not exist', async () => {
    await using api = await startApiServer();
    allowAll(api, (verb, name, resource) => {
      if (resource === 'apps/deployments') return verb === 'patch' && name === 'web';
      return resource === 'argoproj.io/rollouts' && name === '' && verb === 'list';
    });
    const restart =
      '[{ kind: Deployment, name: web }, { kind: Deployment, name: api }, { kind: Rollout, selector: { matchLabels: { a: b } } }]';
    await using scene = await openOn(api, `    restart: ${restart}\n`);
    expect(await scene.failures()).toEqual([
      'workload: restart Deployment/web in apps (mapping db): CLUSTER_FORBIDDEN',
      'workload: restart Rollout with a=b in apps (mapping db): CLUSTER_FORBIDDEN',
    ]);
    const checks = await scene.checks();
    expect(checks.filter(({ name }) => name.startsWith('workload: '))).toMatchObject([
      { ok: false, message: expect.stringContaining('patch') },
      { ok: true, name: 'workload: restart Deployment/api in apps (mapping db)' },
      { ok: false, message: expect.stringContaining('list') },
    ]);
  });

  it('`doctor` checks no permissions in a namespace where Secrets cannot be created', async () => {
    await using api = await startApiServer();
    const permissionChecks: string[] = [];
    api.answer(({ method, url }, response) => {
      if (url.includes('accessreviews')) permissionChecks.push(url);
      const status = method === 'POST' ? 403 : 200;
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(status === 200 ? '{"major":"1"}' : STATUS(status));
    });
    await using scene = await openOn(api, '    restart: [{ kind: Deployment, name: web }]\n');
    expect(await scene.failures()).toEqual(['namespace: create in apps: CLUSTER_REFUSED']);
    expect(permissionChecks).toEqual([]);
  });

  it('`doctor` reports a rejected identity, and still tests the stores', async () => {
    await using api = await startApiServer();
    api.answer((_, response) =>
      response.writeHead(401, { 'content-type': 'application/json' }).end(STATUS(401)),
    );
    await using scene = await openOn(api);
    scene.server.deny(/data\/token/);
    expect(await scene.failures()).toEqual([
      `cluster: reach ${api.address}: CLUSTER_FORBIDDEN`,
      'read store vault, key token: ACCESS_DENIED',
    ]);
  });

  it('`doctor` reports a missing or invalid kubeconfig, and still tests the stores', async () => {
    await using api = await startApiServer();
    await using scene = await openOn(api);
    const good = await readFile(api.kubeconfig, 'utf8');
    await writeFile(api.kubeconfig, 'clusters: 7');
    expect(await scene.failures()).toEqual([expect.stringMatching(/^cluster: configuration: /)]);
    expect((await scene.checks()).filter(({ ok }) => ok).map(({ name }) => name)).toContain(
      'read store vault, key db',
    );
    await writeFile(api.kubeconfig, good);
  });

  it('`doctor` reports clock skew of the API server', async () => {
    await using api = await startApiServer();
    api.answer((_, response) =>
      response
        .writeHead(200, {
          'content-type': 'application/json',
          date: new Date(Date.now() + 300_000).toUTCString(),
        })
        .end('{"major":"1"}'),
    );
    await using scene = await openOn(api);
    expect((await scene.failures())[0]).toBe(`cluster: reach ${api.address}: CLOCK_SKEWED`);
  });
});
