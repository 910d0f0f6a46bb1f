import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { waitUntil } from '../wait-until.ts';
import { openService, type Routes } from './fake-service.ts';
import { type Bench, Collector, HEAD, openBench, type Result } from './harness.ts';

const TOKEN = 'a-token-of-ann';
const PRUNE = '/api/v1/prune';

const ask = (bench: Bench, server: string, ...args: readonly string[]): Promise<Result> =>
  bench.runWith({ env: { SECRETBRIDGE_TOKEN: TOKEN } }, ...args, '--server', server);

const HTTP = `http:
  listen: 127.0.0.1:0
  tokens: [ { name: ann-of-the-service, role: operator, token: { env: ANN_TOKEN } } ]
`;

/** Returns mappings with these names and one target each. */
function configOf(names: readonly string[]): string {
  const mappings = names.map(
    (name) =>
      `  - { name: ${name}, target: { namespace: apps }, data: { USER: { store: local, key: db.json, property: user } } }\n`,
  );
  return `${HEAD}${HTTP}mappings:\n${mappings.join('')}`;
}

/** Creates four targets, and then starts a service with these mappings. */
async function startService(names: readonly string[]) {
  const bench = await openBench(configOf(['one', 'two', 'three', 'four']));
  expect((await bench.run('sync')).code).toBe(0);
  await bench.write('secretbridge.yaml', configOf(names));
  const stop = new AbortController();
  const stderr = new Collector();
  const env = { ANN_TOKEN: TOKEN };
  const running = bench.runWith({ stderr, env, signal: stop.signal }, 'serve', '--grace', '1s');
  await waitUntil(() => expect(stderr.text).toContain('the service is running'));
  const url = /"address":"(http:[^"]+)"/.exec(stderr.text)?.[1] ?? '';
  return {
    bench,
    url,
    post: (path: string, body?: object) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      await bench[Symbol.asyncDispose]();
    },
  };
}

async function records(bench: Bench, requestId: unknown): Promise<readonly AuditRecord[]> {
  const { json } = await bench.run('audit', 'list', '--request', String(requestId), '--output', 'json');
  return (json as { readonly records: readonly AuditRecord[] }).records;
}

const isThere = async (bench: Bench, secret: string): Promise<boolean> =>
  (await bench.run('plan', '--all')).stdout.includes(`apps/${secret}`) ||
  (await bench.run('prune')).stdout.includes(`apps/${secret}`);

describe('prune --server against a service with orphaned targets', () => {
  it('`prune --server` lists the targets that a local prune would list, and deletes nothing', async () => {
    await using served = await startService(['two', 'three', 'four']);
    const { bench, url } = served;
    const localOutcome = await bench.run('prune', '--output', 'json');
    const serviceOutcome = await ask(bench, url, 'prune', '--output', 'json');
    expect(serviceOutcome.json).toEqual(localOutcome.json);
    expect([serviceOutcome.code, localOutcome.code]).toEqual([2, 2]);
    expect(serviceOutcome.json).toMatchObject({ changes: 1, targets: [{ secret: 'one', action: 'delete' }] });
    const human = await ask(bench, url, 'prune');
    expect(human.stdout).toBe((await bench.run('prune')).stdout);
    expect(human.stderr).toBe(
      'Nothing was deleted. With `--yes` the service deletes them, within the limits of `brake`.\n',
    );
    expect(await isThere(bench, 'one')).toBe(true);
  });

  it('`prune --server` deletes the listed targets with --yes, and records the name of the token', async () => {
    await using served = await startService(['two', 'three', 'four']);
    const { bench, url } = served;
    const result = await ask(bench, url, 'prune', '--yes', '--output', 'json');
    expect(result.code).toBe(0);
    expect(result.json).toMatchObject({
      ok: true,
      summary: { deleted: 1, held: 0, failed: 0 },
      targets: [{ mapping: 'one', namespace: 'apps', secret: 'one', outcome: 'deleted' }],
      held: [],
    });
    expect(result.json).not.toHaveProperty('waiting');
    expect(await isThere(bench, 'one')).toBe(false);
    const deleteRecords = await records(bench, (result.json as { requestId: string }).requestId);
    expect(deleteRecords.map(({ action, phase, secret, note }) => [action, phase, secret ?? note])).toEqual(
      expect.arrayContaining([
        ['command', undefined, 'prune'],
        ['delete', 'intent', 'one'],
        ['delete', 'outcome', 'one'],
      ]),
    );
    for (const { actor } of deleteRecords)
      expect(actor).toEqual({ kind: 'operator', name: 'ann-of-the-service', address: '127.0.0.1' });
    expect((await ask(bench, url, 'prune')).stdout).toContain('No orphaned targets');
  });

  it('`prune --server` holds deletions beyond the limit of the brake until they are released through the service', async () => {
    await using served = await startService(['three', 'four']);
    const { bench, url } = served;
    const result = await ask(bench, url, 'prune', '--yes', '--output', 'json');
    expect(result.code).toBe(4);
    expect(result.json).toMatchObject({ ok: false, summary: { deleted: 0, held: 2 } });
    const { held } = result.json as { readonly held: readonly { id: string; secret: string }[] };
    expect(held.map(({ secret }) => secret)).toEqual(['one', 'two']);
    expect((await ask(bench, url, 'status', '--output', 'json')).json).toMatchObject({ held });
    expect((await ask(bench, url, 'release', held[0]?.id ?? '')).code).toBe(0);
    expect([await isThere(bench, 'one'), await isThere(bench, 'two')]).toEqual([false, true]);
  });

  it('the service releases deletions that a local prune held', async () => {
    await using served = await startService(['three', 'four']);
    const { bench, url } = served;
    const { held } = (await bench.run('prune', '--yes', '--output', 'json')).json as {
      readonly held: readonly { readonly id: string }[];
    };
    expect((await ask(bench, url, 'release', held[1]?.id ?? '')).code).toBe(0);
    expect([await isThere(bench, 'one'), await isThere(bench, 'two')]).toEqual([true, false]);
  });

  it('`prune --server` records each prune and release command once, even if the command only lists targets or is refused', async () => {
    await using served = await startService(['three', 'four']);
    const { bench, url } = served;
    await bench.run('prune');
    expect((await ask(bench, url, 'prune')).code).toBe(2);
    for (const id of ['hunter2', '0123456789ab'])
      expect((await ask(bench, url, 'release', id)).stderr).toContain('NOT_HELD');
    const { held } = (await ask(bench, url, 'prune', '--yes', '--output', 'json')).json as {
      readonly held: readonly { readonly id: string }[];
    };
    const [id = ''] = held.map(({ id: heldId }) => heldId);
    expect((await ask(bench, url, 'release', id)).code).toBe(0);
    const { json } = await bench.run('audit', 'list', '--action', 'command', '--output', 'json');
    const commands = (json as { readonly records: readonly AuditRecord[] }).records
      .filter(({ note }) => note !== 'sync')
      .map(({ actor, note, code }) => [actor.kind, note, ...(code === undefined ? [] : [code])]);
    expect(commands.toReversed()).toEqual([
      ['cli', 'prune'],
      ['operator', 'prune'],
      // An argument that is not an id is not recorded.
      ['operator', 'release', 'NOT_HELD'],
      ['operator', 'release 0123456789ab', 'NOT_HELD'],
      ['operator', 'prune', 'HELD'],
      ['operator', `release ${id}`],
    ]);
  });

  it('answers to `prune --server` do not repeat text of the request', async () => {
    await using served = await startService(['one', 'two', 'three', 'four']);
    const { post } = served;
    for (const [path, status, body] of [
      [`/api/v1/held/${encodeURIComponent('😀hunter2')}/release`, 404],
      ['/api/v1/mappings/one/rollback', 400, { to: 1, namespace: 'hunter2' }],
      ['/api/v1/mappings/one/unpin', 400, { namespace: 'hunter2' }],
      ['/api/v1/mappings/hunter2/sync', 404],
      [PRUNE, 400, { hunter2: true }],
    ] as const) {
      const answer = await post(path, body);
      expect([path, answer.status]).toEqual([path, status]);
      expect(await answer.text()).not.toContain('hunter2');
    }
  });
});

const LEFT = {
  changes: 1,
  targets: [
    {
      mapping: 'old',
      namespace: 'apps',
      secret: 'old',
      action: 'delete',
      keys: [{ name: 'A', action: 'remove', before: '00000000:ff' }],
    },
  ],
  held: [],
};
const NOTHING = { changes: 0, targets: [], held: [] };
const PRUNED = {
  ok: true,
  requestId: 'r1',
  summary: { created: 0, updated: 0, deleted: 1, unchanged: 0, refused: 0, held: 0, failed: 0 },
  targets: [{ mapping: 'old', namespace: 'apps', secret: 'old', outcome: 'deleted', keys: [] }],
  held: [],
  warnings: [],
  pending: 0,
};
const REST = {
  waiting: [
    {
      mapping: 'db',
      namespace: 'apps',
      secret: 'before',
      until: { namespace: 'apps', secret: 'after' },
    },
  ],
  unseen: [{ what: 'namespace web', code: 'CLUSTER_FORBIDDEN' }],
};

describe('prune --server', () => {
  it('`prune --server` lists targets by default, deletes them only with --yes, and needs no configuration', async () => {
    await using bench = await openBench('instance: [');
    await using service = await openService({
      [`GET ${PRUNE}`]: { body: LEFT },
      [`POST ${PRUNE}`]: { body: PRUNED },
    });
    expect((await ask(bench, service.url, 'prune')).code).toBe(2);
    expect((await ask(bench, service.url, 'prune', '--yes')).code).toBe(0);
    expect(service.requests.map(({ line }) => line)).toEqual([`GET ${PRUNE}`, `POST ${PRUNE}`]);
    expect(service.bodies).toEqual([]);
  });

  it('`prune --server` reports targets that are not deleted yet, and targets that could not be checked', async () => {
    const messages = `could not be checked, and may be orphaned: namespace web: CLUSTER_FORBIDDEN
orphaned target apps/before of mapping db stays until apps/after exists
`;
    await using bench = await openBench();
    await using service = await openService({
      [`GET ${PRUNE}`]: { body: { ...NOTHING, ...REST } },
      [`POST ${PRUNE}`]: { body: { ...PRUNED, ...REST } },
    });
    const list = await ask(bench, service.url, 'prune');
    expect([list.code, list.stderr]).toEqual([0, messages]);
    expect(list.stdout).toContain('Nothing to delete now');
    expect((await ask(bench, service.url, 'prune', '--output', 'json')).json).toEqual({
      ...NOTHING,
      ...REST,
      warnings: [],
    });
    expect((await ask(bench, service.url, 'prune', '--yes')).stderr).toBe(messages);
  });

  it('`prune --server` does not report "no orphaned targets" if some targets could not be checked', async () => {
    await using bench = await openBench();
    const { unseen } = REST;
    await using service = await openService({ [`GET ${PRUNE}`]: { body: { ...NOTHING, unseen } } });
    const { stdout } = await ask(bench, service.url, 'prune');
    expect(stdout).toBe('No orphaned targets among those that could be checked.\n');
  });

  it.each([
    ['AUDIT_UNAVAILABLE', 503, 1],
    ['CLUSTER_UNAVAILABLE', 503, 1],
    ['AUDIT_TRUNCATED', 503, 4],
    ['FORBIDDEN', 403, 4],
    ['NOT_FOUND', 404, 4],
  ])('error %s of the service sets the exit code of `prune`', async (errorCode, status, code) => {
    await using bench = await openBench();
    const body = { code: errorCode, message: 'as the service says', remedy: 'do this', requestId: 'r1' };
    const routes: Routes = { [`GET ${PRUNE}`]: { status, body }, [`POST ${PRUNE}`]: { status, body } };
    await using service = await openService(routes);
    for (const args of [['prune'], ['prune', '--yes']]) {
      const result = await ask(bench, service.url, ...args);
      expect([result.code, result.stdout]).toEqual([code, '']);
      expect(result.stderr).toContain('as the service says');
    }
  });
});
