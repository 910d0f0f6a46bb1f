/**
 * Measures queries and appends on a large audit store: `node bench/audit-queries.ts [PATH|URL|postgres] [RECORDS]`. The
 * first run creates the store, and later runs reuse it. By default, the store is in a cache folder. `postgres` starts a
 * new PostgreSQL, and also prints the execution times of the statements that a write waits for. Prints the rate of
 * appends in batches of 100. Also prints the time of appends, of the queries before a write, and of queries for 50
 * records, in milliseconds.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Action, AuditRecord } from '../src/audit/entry.ts';
import { openPostgresAudit } from '../src/audit/postgres/postgres.ts';
import { limitToNamespaces } from '../src/audit/query/limited.ts';
import { listCauses } from '../src/audit/query/list-causes.ts';
import { listChanges } from '../src/audit/query/list-changes.ts';
import { reachOf } from '../src/audit/query/reach.ts';
import { seriesOf } from '../src/audit/query/series.ts';
import { openSqliteAudit } from '../src/audit/sqlite/sqlite.ts';
import type { AuditStore, RecordFilter } from '../src/audit/store.ts';
import { SecretValue } from '../src/core/secret-value.ts';
import { ACTIONS, OUTCOMES } from '../src/core/words.ts';
import { benchEntry, CODES, COMMON_VALUES, pick, random, STORES } from './audit-records.ts';
import { printStatements, startMeasuringPostgres } from './audit-statements.ts';
import { exitWithUsage } from './harness/error.ts';

const [workspace, count = '1000000'] = process.argv.slice(2);
const total = Number(count);
if (!Number.isSafeInteger(total) || total < 1)
  exitWithUsage('Usage: node bench/audit-queries.ts [PATH|URL|postgres] [RECORDS]');
await using server = workspace === 'postgres' ? await startMeasuringPostgres() : undefined;
const START = Date.parse('2026-01-01T00:00:00Z');
let now = START;
const common = { instance: 'prod-eu', replica: `bench-${process.pid}`, clock: { now: () => now } };

function open(): Promise<AuditStore> {
  const url = server?.url ?? workspace;
  if (url?.startsWith('postgres'))
    return openPostgresAudit({ ...common, url: async () => SecretValue.fromText(url) });
  const folder = join(import.meta.dirname, '..', 'node_modules', '.cache', 'secretbridge');
  mkdirSync(folder, { recursive: true });
  return openSqliteAudit({ ...common, path: workspace ?? join(folder, `audit-${total}.db`) });
}

function show(what: string, times: readonly number[]): void {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
  const slow = sorted.filter((ms) => ms > 200).length;
  process.stdout.write(
    `${what.padEnd(34)} n ${String(times.length).padStart(5)}  p50 ${at(0.5)}  p95 ${at(0.95)}  p99 ${at(0.99)}  max ${at(1)}  over 200 ms: ${slow}\n`,
  );
}

async function showStatements(): Promise<void> {
  if (server !== undefined) await printStatements(server.url);
}

await using store = await open();
const { sequence: existing } = await store.head();
const next = random(existing + 1);
const BATCH = 100;
const began = performance.now();
for (let sequence = existing + 1; sequence <= total; ) {
  const batches = Array.from({ length: 10 }, () =>
    Array.from({ length: BATCH }, () => benchEntry(next, sequence++, total)),
  );
  now = START + (sequence / total) * 300 * 86_400_000;
  for (const batch of batches) await store.append(batch);
}
if (existing < total) {
  const rate = (total - existing) / ((performance.now() - began) / 1000);
  process.stdout.write(
    `appended ${total - existing} records, ${Math.round(rate)} a second in batches of ${BATCH}\n`,
  );
  await showStatements();
}

const draw = random(7);
now = START + 300 * 86_400_000;
let appended = Math.max(existing, total);
async function runAppends(what: string, rounds: number, records: number): Promise<void> {
  const times: number[] = [];
  for (let n = 0; n < rounds; n += 1) {
    const entries = Array.from({ length: records }, () => benchEntry(draw, appended++, total));
    const started = performance.now();
    await store.append(entries);
    times.push(performance.now() - started);
  }
  show(what, times);
  await showStatements();
}
await runAppends('append, single records', 300, 1);
await runAppends('append, 50 records', 100, 50);

/** Measures the queries that a write waits for: the latest read of a source, and the latest change of a target. */
async function runLatest(
  what: string,
  filterOf: (n: number) => RecordFilter,
  actions: readonly Action[],
  atOnce = 1,
): Promise<void> {
  const times: number[] = [];
  for (let n = 0; n < 1_000; n += atOnce) {
    const filters = Array.from({ length: atOnce }, (_, index) => filterOf(n + index));
    const started = performance.now();
    await Promise.all(
      filters.map((filter) => store.latest({ ...filter, instance: common.instance }, actions)),
    );
    times.push(performance.now() - started);
  }
  show(what, times);
  await showStatements();
}
const readOf = (n: number): RecordFilter => ({
  store: STORES[(n % 310) % 4] ?? '',
  key: `apps/${n % 310}/${n % 8}`,
  outcome: 'ok',
});
await runLatest('latest read of a source', readOf, ['read']);
await runLatest('32 latest reads at once', readOf, ['read'], 32);
await runLatest(
  'latest change of a target',
  (n) => ({ namespace: `team-${(n % 310) % 25}`, secret: `secret-${n % 310}` }),
  ['create', 'update', 'delete', 'repair', 'adopt', 'rollback'],
);

type Name = Exclude<keyof RecordFilter, 'version' | 'phase' | 'instance'>;
const NAMES: readonly Name[] = [
  'since',
  'until',
  'actor',
  'mapping',
  'namespace',
  'secret',
  'store',
  'key',
  'action',
  'outcome',
  'code',
  'request',
  'fingerprint',
  'review',
];

/** Copies filters from an existing record, so that the query has at least one match. */
function filterFromRecord(record: AuditRecord): RecordFilter {
  const {
    time,
    actor,
    mapping,
    namespace,
    secret,
    action,
    outcome,
    code,
    requestId,
    after,
    values,
    sources,
  } = record;
  const at = (days: number) => new Date(Date.parse(time) + days * 86_400_000).toISOString();
  const all = {
    since: at(-3),
    until: at(3),
    actor: draw() < 0.5 ? actor.kind : (actor.name ?? actor.kind),
    mapping,
    namespace,
    secret,
    store: sources[0]?.store,
    key: sources[0]?.key,
    action,
    outcome,
    code,
    request: requestId,
    fingerprint: draw() < 0.5 ? after : pick(draw, Object.values(values ?? { none: after ?? '' })),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Chooses each filter at random. A random combination of filters often matches no record. */
function randomFilter(): RecordFilter {
  const day = (n: number) => new Date(START + n * 86_400_000).toISOString();
  const from = Math.floor(draw() * 300);
  return {
    since: day(from),
    until: day(from + 1 + Math.floor(draw() * 100)),
    actor: pick(draw, ['schedule', 'event', 'drift', 'operator', 'cli', 'person-3', 'nobody']),
    mapping: `mapping-${Math.floor(draw() * 310)}`,
    namespace: `team-${Math.floor(draw() * 27)}`,
    secret: `secret-${Math.floor(draw() * 310)}`,
    store: pick(draw, [...STORES, 'unknown']),
    key: `apps/${Math.floor(draw() * 310)}/1`,
    action: pick(draw, ACTIONS),
    outcome: pick(draw, OUTCOMES),
    code: pick(draw, [...CODES, 'INTERNAL']),
    request: `request-${Math.floor(draw() * 333_000)}`,
    fingerprint: pick(draw, [`0badcafe:${'0'.repeat(64)}`, ...COMMON_VALUES]),
    review: pick(draw, ['unreviewed', 'reviewed', 'flagged'] as const),
  };
}

function only(names: readonly Name[], from: RecordFilter): RecordFilter {
  return Object.fromEntries(
    names.map((name) => [name, from[name]]).filter(([, value]) => value !== undefined),
  );
}

const queries: { filter: RecordFilter; ms: number }[] = [];
async function runQueries(what: string, filters: readonly RecordFilter[]): Promise<void> {
  const times: number[] = [];
  for (const filter of filters) {
    const started = performance.now();
    const records = await store.list(filter, { limit: 50 });
    await store.reviews(records.map(({ sequence }) => sequence));
    times.push(performance.now() - started);
    queries.push({ filter, ms: times.at(-1) ?? 0 });
  }
  show(what, times);
}

const sample: AuditRecord[] = [];
for (let n = 0; n < 60; n += 1) {
  const record = await store.get(1 + Math.floor(draw() * total));
  if (record !== undefined) sample.push(record);
}
const randomOrRecordFilter = () =>
  draw() < 0.5 ? randomFilter() : { ...filterFromRecord(pick(draw, sample)), review: randomFilter().review };
const times = (n: number, make: () => RecordFilter) => Array.from({ length: n }, make);
await runQueries(
  'nothing',
  times(20, () => ({})),
);
for (const name of NAMES)
  await runQueries(
    name,
    times(12, () => only([name], randomOrRecordFilter() as RecordFilter)),
  );
const pairs = NAMES.flatMap((a, index) => NAMES.slice(index + 1).map((b): readonly Name[] => [a, b]));
for (const names of pairs)
  await runQueries(
    names.join(' + '),
    times(8, () => only(names, randomOrRecordFilter() as RecordFilter)),
  );
for (const size of [3, 4, 5])
  await runQueries(
    `random ${size}`,
    times(250, () =>
      only([...NAMES].sort(() => draw() - 0.5).slice(0, size), randomOrRecordFilter() as RecordFilter),
    ),
  );
/** Measures the answers of the review console: a view of a list must take less than 200 ms, a search less than 1 s. */
async function runView(what: string, count: number, view: (n: number) => Promise<unknown>): Promise<void> {
  const durations: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const started = performance.now();
    await view(n);
    durations.push(performance.now() - started);
  }
  show(what, durations);
}
const PAGE = { limit: 50, cursor: undefined };
const changesOf = (filter: RecordFilter, isOpen = false) => listChanges(store, { filter, isOpen }, PAGE);
const at = (n: number) => Math.floor(((n * 37) % 310) ** 2 / 310);
const VIEWS: readonly (readonly [string, (n: number) => Promise<unknown>])[] = [
  ['changes', () => changesOf({})],
  [
    'changes, older page',
    (n) => listChanges(store, { filter: {} }, { limit: 50, cursor: String(total - n * 9_000) }),
  ],
  ['changes, open', () => changesOf({}, true)],
  ['changes, failed', () => changesOf({ outcome: 'failed' })],
  ['changes, namespace', (n) => changesOf({ namespace: `team-${n % 27}` })],
  [
    'changes, limited person',
    (n) => listChanges(limitToNamespaces(store, [`team-${n % 27}`]), { filter: {} }, PAGE),
  ],
  ['timeline, Secret', (n) => changesOf({ namespace: `team-${at(n) % 25}`, secret: `secret-${at(n)}` })],
  ['timeline, mapping', (n) => changesOf({ mapping: `mapping-${at(n)}` })],
  ['timeline, source', (n) => changesOf({ store: STORES[at(n) % 4] ?? '', key: `apps/${at(n)}/${n % 2}` })],
  ['timeline, person', (n) => changesOf({ actor: `person-${n % 22}` })],
  ['review queue', () => listCauses(store, {}, { ...PAGE, now, held: [], requests: [] })],
  [
    'reach',
    (n) =>
      reachOf(store, { store: STORES[at(n) % 4] ?? '', key: `apps/${at(n)}/1`, version: String(n * 30) }),
  ],
  [
    'series, all records',
    () => seriesOf(store, { since: new Date(START).toISOString(), until: new Date(now).toISOString() }),
  ],
  ['source versions', () => store.summaries.sourceVersions()],
  [
    'search, names',
    (n) => Promise.all([store.summaries.findNames(`${n}`, 20), store.summaries.findNotes('nowhere', 20)]),
  ],
];
for (const [what, view] of VIEWS) await runView(what, 30, view);

show(
  'all queries',
  queries.map(({ ms }) => ms),
);
for (const { filter, ms } of queries.toSorted((a, b) => b.ms - a.ms).slice(0, 25))
  process.stdout.write(`${ms.toFixed(0).padStart(6)} ms ${JSON.stringify(filter)}\n`);
