import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../src/telemetry/metric-names.ts';
import { type ServiceProcess, within } from './service-process.ts';
import { base64, openWorld, type World, type WorldOptions } from './world.ts';

const one: WorldOptions['config'] = ({ prefix, ns }) => `defaults: { refresh: 2s }
absence: { readings: 2, over: 1s }
mappings:
  - name: app
    target: { namespace: ${ns('apps')} }
    onSourceMissing: delete
    data: { A: { store: vault, key: ${prefix}/app, property: a } }
`;
const two: WorldOptions['config'] = (names) => `${one(names)}  - name: refused
    target: { namespace: ${names.ns('apps')} }
    data: { A: { store: vault, key: ${names.prefix}/other, property: a } }
`;

interface Scene extends AsyncDisposable {
  readonly world: World;
  readonly served: ServiceProcess;
}

async function open(config = two): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const world = stack.use(await openWorld({ config, scope: 'namespace' }));
  await world.vault.put('app', { a: 'first' });
  await world.vault.put('other', { a: 'first' });
  await world.put('refused', { data: { THEIRS: base64('x') } });
  const served = stack.use(await world.serve());
  await within(10_000, async () => {
    expect(await served.target('app')).toMatchObject({ state: 'synced' });
    if (config === two)
      expect(await served.target('refused')).toMatchObject({ state: 'refused', code: 'NOT_OWNED' });
  });
  const owned = stack.move();
  return { world, served, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

describe('the running service over HTTP', () => {
  it('rejects requests without a token, and limits each role to its routes', async () => {
    await using scene = await open();
    const { world, served } = scene;
    const { vic, rev, ann } = world.tokens;
    const statuses = async (method: string, path: string) =>
      Promise.all(
        ['', 'wrong', vic, rev, ann].map(async (token) => (await served.send(method, path, token)).status),
      );
    expect(await statuses('GET', '/livez')).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses('GET', '/readyz')).toEqual([200, 200, 200, 200, 200]);
    expect(await statuses('GET', '/metrics')).toEqual([200, 200, 200, 200, 200]);
    for (const path of ['status', 'mappings', 'mappings/app', 'held', 'audit/records', 'audit/records/1'])
      expect(await statuses('GET', `/api/v1/${path}`), path).toEqual([401, 401, 200, 200, 200]);
    expect(await statuses('POST', '/api/v1/mappings/app/sync')).toEqual([401, 401, 403, 403, 200]);
    expect(await statuses('POST', '/api/v1/held/none/release')).toEqual([401, 401, 403, 403, 404]);
    const { text, headers } = await served.get('/api/v1/status', 'wrong');
    expect(JSON.parse(text)).toEqual({
      code: expect.any(String),
      message: expect.any(String),
      remedy: expect.any(String),
      requestId: expect.any(String),
    });
    expect(headers['content-security-policy']).toBeDefined();
  });

  it('exposes every metric', async () => {
    await using scene = await open();
    const { text } = await scene.served.get('/metrics');
    for (const name of Object.keys(METRICS)) expect(text).toContain(`# HELP ${name} `);
    expect(text).toContain(
      `secretbridge_sync_total{mapping="app",namespace="${scene.world.ns('apps')}",outcome="created"} 1`,
    );
    for (const label of ['A', 'first', scene.world.prefix]) expect(text).not.toContain(`"${label}"`);
  });

  it('answers `status` and `sync --server` as text and as JSON, and records the caller', async () => {
    await using scene = await open();
    const { world, served } = scene;
    const human = await world.cli('status');
    expect(human.code).toBe(4);
    expect(human.stdout).toContain('NOT_OWNED');
    const machine = JSON.parse((await world.cli('status', '--output', 'json')).stdout) as object;
    expect(machine).toMatchObject({
      instance: 'service',
      engine: { kind: 'memory', state: 'up' },
      audit: { kind: 'sqlite', state: 'up', sequence: expect.any(Number) },
      stores: [{ name: 'vault', kind: 'vault', state: 'up', lastSuccess: expect.any(String) }],
      targets: [
        {
          mapping: 'app',
          state: 'synced',
          lastSuccess: expect.any(String),
          staleSeconds: expect.any(Number),
        },
        { mapping: 'refused', state: 'refused', code: 'NOT_OWNED', remedy: expect.any(String) },
      ],
      held: [],
    });
    await world.vault.put('app', { a: 'second' });
    const sync = await world.cli('sync', '--server', served.address, '--mapping', 'app', '--output', 'json');
    const answer = JSON.parse(sync.stdout) as { requestId: string };
    expect({ code: sync.code, ...answer }).toMatchObject({ code: 0, ok: true });
    expect((await world.secret('app'))?.data).toEqual({ A: base64('second') });
    const all = await world.cli('sync', '--server', served.address);
    expect(all.code).toBe(4);
    expect(all.stdout).toContain('NOT_OWNED');
    const records = (await world.records()).filter(({ requestId }) => requestId === answer.requestId);
    expect(records[0]).toMatchObject({
      action: 'command',
      actor: { kind: 'operator', name: 'ann', address: '127.0.0.1' },
      note: 'sync app',
    });
  });

  it('holds the deletion of the last target until an operator releases it', async () => {
    await using scene = await open(one);
    const { world, served } = scene;
    await world.vault.remove('app');
    await within(20_000, async () => expect((await served.status()).held).toHaveLength(1));
    expect(await served.target('app')).toMatchObject({ state: 'held' });
    expect(await world.secret('app')).toBeDefined();
    const { held } = await served.status();
    expect(held).toMatchObject([
      { mapping: 'app', action: 'delete', keys: [{ name: 'A', action: 'remove' }] },
    ]);
    expect(await served.metric('secretbridge_held')).toBe(1);
    expect((await world.cli('status')).stdout).toContain(held[0]?.id);
    const id = held[0]?.id ?? '';
    expect((await served.send('POST', `/api/v1/held/${id}/release`, world.tokens.rev)).status).toBe(403);

    const release = await world.cli('release', id, '--server', served.address, '--output', 'json');
    expect({ code: release.code, ...(JSON.parse(release.stdout) as object) }).toMatchObject({
      code: 0,
      ok: true,
      summary: { deleted: 1 },
    });
    expect(await world.secret('app')).toBeUndefined();
    const records = (await world.records()).filter(
      ({ action }) => action === 'release' || action === 'delete',
    );
    expect(
      records.map(({ action, actor: { kind, name }, phase }) => ({ action, kind, name, phase })),
    ).toEqual([
      { action: 'release', kind: 'operator', name: 'ann', phase: undefined },
      { action: 'delete', kind: 'operator', name: 'ann', phase: 'intent' },
      { action: 'delete', kind: 'operator', name: 'ann', phase: 'outcome' },
    ]);
    await within(5_000, async () => expect(await served.metric('secretbridge_held')).toBe(0));
    expect((await served.status()).held).toEqual([]);
    // The source is absent and the Secret is deleted. The service creates the Secret again when the source returns.
    await world.vault.put('app', { a: 'third' });
    await within(20_000, async () =>
      expect((await world.secret('app'))?.data).toEqual({ A: base64('third') }),
    );
    expect(await world.chain()).toMatchObject({ kind: 'intact' });
  });
});
