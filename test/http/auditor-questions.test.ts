import { expect, it } from 'vitest';
import type { Entry } from '../../src/audit/entry.ts';
import type { Change } from '../../src/audit/query/change-types.ts';
import { pruneOrphans } from '../../src/commands/prune.ts';
import { bare, entry, fingerprint } from '../audit/sample.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { APPS_DB, DB_ONLY, openWorld } from '../reconcile/world.ts';
import { held, startTestServer, type TestServer } from './harness.ts';

// The questions of an auditor, each with one request. Most of the records are written by the service itself.

const DAY = 86_400_000;
const FRIDAY = Date.parse('2026-11-27T14:00:00Z');
const target = { mapping: 'payments-db', namespace: 'payments', secret: 'payments-db' };
const person = (name: string): Entry['actor'] => ({ kind: 'operator', name });

/** Serves a log. Each group of entries is recorded at its time. */
async function serveLog(
  groups: readonly (readonly [number, ...Entry[]])[],
  more: Parameters<typeof startTestServer>[0] = {},
) {
  let now = FRIDAY;
  const clock = { now: () => now };
  const audit = createMemoryAudit({ clock });
  for (const [time, ...entries] of groups) {
    now = time;
    await audit.append(entries);
  }
  return startTestServer({ audit, clock, ...more });
}

async function changesOf(api: TestServer, url: string): Promise<readonly Change[]> {
  const { status, json } = await api.get(url);
  expect(status).toBe(200);
  return json.changes as readonly Change[];
}

it('who released this deletion, and who approved it?', async () => {
  const about = { ...target, sources: [], keys: { added: [], changed: [], removed: ['DB_PASSWORD'] } };
  const until = new Date(FRIDAY + DAY).toISOString();
  const requested = { action: 'release', argument: '0'.repeat(12), until } as const;
  const note = 'release 000000000000';
  const deletion = {
    ...about,
    action: 'delete',
    requestId: 'r2',
    approval: 2,
    actor: person('ann'),
  } as const;
  await using api = await serveLog([
    [FRIDAY, entry({ ...about, action: 'hold', outcome: 'held', code: 'HELD', requestId: 'r0' })],
    [FRIDAY, entry({ ...about, action: 'request', actor: person('ann'), requested, note, requestId: 'r1' })],
    [
      FRIDAY,
      entry({ ...about, action: 'approve', actor: person('bob'), approval: 2, note, requestId: 'r2' }),
    ],
    [FRIDAY, entry({ ...about, action: 'release', actor: person('ann'), approval: 2, requestId: 'r2' })],
    [
      FRIDAY,
      entry({ ...deletion, phase: 'intent' }),
      entry({ ...deletion, phase: 'outcome', note: 'released' }),
    ],
  ]);
  const [deleted] = await changesOf(api, '/api/v1/changes?action=delete');
  expect(deleted).toMatchObject({
    records: [2, 3, 4, 5, 6],
    keys: [{ name: 'DB_PASSWORD', change: 'removed' }],
    people: [
      { role: 'requested', name: 'ann' },
      { role: 'approved', name: 'bob' },
      { role: 'released', name: 'ann' },
    ],
  });
});

it('which Secrets still hold version 1 of that key?', async () => {
  const world = await openWorld();
  await world.sync();
  world.store.put('db', '{"user":"ann","password":"second"}', '2');
  await world.sync(undefined, { only: 'db' });
  await using process = await world.start();
  await using api = await startTestServer({ audit: process.app.audit });
  const { json } = await api.get('/api/v1/reach?store=vault&key=db&version=1');
  expect(json).toMatchObject({
    now: [{ namespace: 'apps', secret: 'token', versions: ['1'] }],
    held: [{ ...APPS_DB, versions: ['2'] }],
    others: [],
    more: false,
  });
});

it('what changed last Friday between two and three?', async () => {
  await using api = await serveLog([
    [FRIDAY - 1, entry({ phase: 'outcome', requestId: 'before' })],
    [
      FRIDAY,
      entry({ phase: 'intent', requestId: 'at two' }),
      entry({ phase: 'outcome', requestId: 'at two' }),
    ],
    [FRIDAY + 3_600_001, entry({ phase: 'outcome', requestId: 'after' })],
  ]);
  const range = 'since=2026-11-27T14:00:00Z&until=2026-11-27T15:00:00Z';
  expect(await changesOf(api, `/api/v1/changes?${range}`)).toMatchObject([
    { requestId: 'at two', records: [2, 3] },
  ]);
  expect((await api.get(`/api/v1/series?${range}&step=1h`)).json).toMatchObject({ changes: [1, 1] });
});

it('what has Ann done this month?', async () => {
  await using api = await serveLog([
    [FRIDAY - 40 * DAY, bare({ action: 'command', actor: person('ann'), note: 'sync old' })],
    [FRIDAY, bare({ action: 'command', actor: person('ann'), note: 'sync payments-db' })],
    [FRIDAY, bare({ action: 'command', actor: person('bob'), note: 'sync payments-db' })],
    ...[1, 2, 3].map((sequence) => [FRIDAY, reviewBy('ann', sequence)] as const),
  ]);
  expect(await changesOf(api, '/api/v1/changes?actor=ann&since=30d')).toMatchObject([
    { action: 'review', count: 3 },
    { action: 'command', note: 'sync payments-db' },
  ]);
  expect(await changesOf(api, '/api/v1/timeline?actor=ann')).toHaveLength(3);
});

function reviewBy(name: string, sequence: number): Entry {
  return bare({ action: 'review', actor: person(name), review: { sequence, state: 'reviewed' } });
}

it('what did this rotation restart, and from which version to which?', async () => {
  const world = await openWorld({ mappings: DB_ONLY });
  await world.sync();
  world.store.put('db', '{"user":"ann","password":"second"}', '2');
  await world.sync();
  await using process = await world.start();
  const { requestId, after = '' } =
    world.records.findLast(({ phase }) => phase === 'outcome') ?? expect.fail();
  const restart = { ...APPS_DB, mapping: 'db', action: 'restart', requestId, after } as const;
  await process.app.audit.append([
    bare({ ...restart, phase: 'intent', note: 'Deployment/web' }),
    bare({ ...restart, phase: 'intent', note: 'Deployment/api', attempt: 2 }),
  ]);
  await process.app.audit.append([bare({ ...restart, phase: 'outcome', note: 'Deployment/web' })]);
  await using api = await startTestServer({ audit: process.app.audit });
  const [rotation, created] = await changesOf(api, '/api/v1/timeline?namespace=apps&secret=db');
  expect(rotation).toMatchObject({
    action: 'update',
    outcome: 'ok',
    keys: [{ name: 'PASSWORD', change: 'changed', before: expect.any(String), after: expect.any(String) }],
    sources: [
      { key: 'db', property: 'user', version: '2', previousVersion: '1' },
      { key: 'db', property: 'password', version: '2', previousVersion: '1' },
    ],
    restarts: [
      { kind: 'Deployment', name: 'web', outcome: 'ok' },
      { kind: 'Deployment', name: 'api', outcome: 'pending' },
    ],
  });
  expect(rotation?.keys[0]?.before).toBe(created?.keys.find(({ name }) => name === 'PASSWORD')?.after);
  expect(rotation?.keys[0]?.before).not.toBe(rotation?.keys[0]?.after);
  // Reads, intent, outcome and restart are one change.
  const all = await changesOf(api, '/api/v1/changes');
  const records = new Set(all.flatMap((change) => change.records));
  expect([...records].sort((a, b) => a - b)).toEqual(world.records.map(({ sequence }) => sequence));
  expect(all.filter(({ action }) => action === 'read' || action === 'restart')).toEqual([]);
});

it('which changes had no review?', async () => {
  await using api = await serveLog([
    [FRIDAY, entry({ phase: 'outcome', requestId: 'reviewed' })],
    [FRIDAY, entry({ phase: 'outcome', requestId: 'not reviewed' })],
    [FRIDAY, reviewBy('bob', 1)],
  ]);
  expect(await changesOf(api, '/api/v1/changes?review=unreviewed')).toMatchObject([
    { requestId: 'not reviewed' },
  ]);
});

it('what did the store outage touch?', async () => {
  const failed = (secret: string, code: string, note: string): Entry =>
    bare({ action: 'refuse', outcome: 'failed', code, mapping: secret, namespace: 'apps', secret, note });
  await using api = await serveLog([
    [FRIDAY, bare({ action: 'read', store: 'team-vault', key: 'a', outcome: 'failed', code: 'TIMEOUT' })],
    [FRIDAY, failed('a', 'TIMEOUT', 'store team-vault, key a, property password')],
    [FRIDAY + 1, failed('b', 'STORE_UNAVAILABLE', 'store team-vault, key b')],
    [FRIDAY + 2, failed('c', 'STORE_UNAVAILABLE', 'store team-vault')],
    [FRIDAY + 3, failed('d', 'SOURCE_ABSENT', 'store team-vault, key d')],
  ]);
  expect((await api.get('/api/v1/review')).json).toMatchObject({
    causes: [
      { kind: 'store', store: 'team-vault', count: 4, targets: 3, sequences: [4, 3, 2, 1] },
      { kind: 'source', store: 'team-vault', key: 'd', code: 'SOURCE_ABSENT', count: 1 },
    ],
  });
});

it('which configuration change caused this?', async () => {
  const changes = [
    { path: 'mappings.other.refresh', before: '5m', after: '1m' },
    { path: 'mappings.payments-db.data.PORT', after: '{"store":"team-vault"}' },
  ];
  const event = { kind: 'event' } as const;
  await using api = await serveLog([
    [FRIDAY, entry({ phase: 'outcome', requestId: 'first', actor: { kind: 'schedule' } })],
    [FRIDAY, bare({ action: 'configure', changes, revision: '4f2a', configHash: 'a'.repeat(64) })],
    [FRIDAY, entry({ phase: 'outcome', requestId: 'second', actor: event })],
    [FRIDAY, entry({ phase: 'outcome', requestId: 'third', actor: { kind: 'event', name: 'ci' } })],
  ]);
  const [third, second, configured, first] = await changesOf(api, '/api/v1/changes');
  const own = changes.slice(1);
  expect(second?.cause).toEqual({ kind: 'configuration', sequence: 2, revision: '4f2a', changes: own });
  expect(configured).toMatchObject({ configuration: { hash: 'a'.repeat(64), revision: '4f2a', changes } });
  expect([first?.cause, third?.cause]).toEqual([{ kind: 'schedule' }, { kind: 'event' }]);
});

it('who signed in, and who was refused?', async () => {
  const signIn = (name: string, more: Partial<Entry> = {}): Entry =>
    bare({ action: 'command', actor: person(name), note: 'sign-in', ...more });
  const refused = { outcome: 'refused', code: 'ROLE_MISSING' } as const;
  await using api = await serveLog([
    [FRIDAY, signIn('ann')],
    [FRIDAY, signIn('eve', refused), signIn('eve', refused)],
  ]);
  expect(await changesOf(api, '/api/v1/changes?action=command')).toMatchObject([
    { actor: { name: 'eve' }, outcome: 'refused', code: 'ROLE_MISSING', count: 2 },
    { actor: { name: 'ann' }, outcome: 'ok' },
  ]);
  expect((await api.get('/api/v1/review')).json).toMatchObject({
    causes: [{ kind: 'sign-in', code: 'ROLE_MISSING', count: 2 }],
  });
});

it('where has this value been?', async () => {
  const world = await openWorld({ mappings: DB_ONLY });
  await world.sync();
  world.store.put('db', '{"user":"ann","password":"second"}', '2');
  await world.sync();
  const first = world.records.find(({ phase, action }) => phase === 'outcome' && action === 'create');
  await using process = await world.start();
  await using api = await startTestServer({ audit: process.app.audit });
  const value = first?.values?.PASSWORD ?? '';
  expect(await changesOf(api, `/api/v1/changes?fingerprint=${value}`)).toMatchObject([
    { sequence: first?.sequence, ...APPS_DB },
  ]);
  const { json } = await api.get('/api/v1/timeline?namespace=apps&secret=db');
  expect(json.now).toMatchObject({ content: { keys: [{ name: 'PASSWORD' }, { name: 'USER' }] } });
  expect(JSON.stringify(json.now)).not.toContain(value);
});

it('what is held now, and why?', async () => {
  const hold = (secret: string): Entry =>
    bare({ action: 'hold', outcome: 'held', code: 'HELD', mapping: 'm', namespace: 'shop', secret });
  const reason = (count: number) =>
    `${count} targets to delete, but \`brake\` allows 1 within its \`window\``;
  const ids = ['a'.repeat(12), 'b'.repeat(12)];
  await using api = await serveLog([[FRIDAY, hold('one'), hold('two'), hold('released')]], {
    service: {
      held: () => [
        held({ id: ids[0] ?? '', secret: 'one', reason: reason(2) }),
        held({ id: ids[1] ?? '', secret: 'two', reason: reason(3) }),
      ],
    },
  });
  expect((await api.get('/api/v1/review')).json).toMatchObject({
    causes: [
      { kind: 'held', title: 'changes were held earlier, and no longer wait', count: 1, held: [] },
      { kind: 'held', title: reason(3), count: 2, held: ids.toReversed() },
    ],
  });
});

it('which secrets are older than 90 days?', async () => {
  const read = (key: string, version: string): Entry =>
    bare({
      ...{ action: 'read', store: 'local', key, sources: [{ store: 'local', key, version }] },
      after: fingerprint(1),
    });
  await using api = await serveLog([
    [FRIDAY - 200 * DAY, read('db.json', '1'), read('api.json', '1'), read('retired.json', '1')],
    [FRIDAY - 100 * DAY, read('db.json', '1')],
    [FRIDAY - 10 * DAY, read('api.json', '2')],
    [FRIDAY, bare()],
  ]);
  expect((await api.get('/api/v1/sources?olderThan=90d')).json).toEqual({
    sources: [
      {
        ...{ store: 'local', key: 'db.json', version: '1', days: 200 },
        since: new Date(FRIDAY - 200 * DAY).toISOString(),
      },
    ],
  });
  const { sources } = (await api.get('/api/v1/sources?olderThan=7d&newerThan=30d')).json;
  expect(sources).toMatchObject([{ key: 'api.json', days: 10 }]);
  expect((await api.get('/api/v1/picture')).json).toMatchObject({
    ages: [
      {
        store: 'local',
        buckets: [{}, {}, { upTo: '30d', secrets: 1 }, {}, { upTo: '365d', secrets: 1 }, {}],
      },
    ],
  });
});

it('a deletion of an orphan names the person who pruned', async () => {
  const world = await openWorld({ more: 'brake: { share: 1 }' });
  await world.sync();
  await world.configure(DB_ONLY);
  await using process = await world.start();
  await pruneOrphans(process.app);
  await using api = await startTestServer({ audit: process.app.audit });
  const deletions = await changesOf(api, '/api/v1/changes?action=delete');
  expect(deletions).toMatchObject([{ actor: { name: 'ann' }, cause: { kind: 'person' }, secret: 'token' }]);
});
