/**
 * Measures the views of the review page over a million records and 10,000 Secrets: `node bench/audit-views.ts
 * [sqlite|postgres]`. Each view is asked five times, by a viewer and by a viewer who is limited to one namespace. Prints
 * the median and the maximum in milliseconds, slowest view first. A view of a list must take less than 200 ms, and a
 * search less than a second. The records are written first, which takes some minutes. With SQLite, later runs reuse
 * them.
 */

import { openPostgresAudit } from '../src/audit/postgres/postgres.ts';
import type { AuditStore } from '../src/audit/store.ts';
import { SecretValue } from '../src/core/secret-value.ts';
import { createAuthenticator } from '../src/http/auth.ts';
import { fingerprintOf, printOf } from '../test/browser/history.ts';
import { openMillionRecords, writeMillionRecords } from '../test/browser/million-records.ts';
import { millionService } from '../test/browser/million-service.ts';
import { presentClock } from '../test/browser/present.ts';
import { STATIC_TOKENS, startTestServer, TOKENS } from '../test/http/harness.ts';
import { query } from '../test/integration/audit/database.ts';
import { startPostgres } from '../test/integration/services/postgres.ts';
import { BenchError, exitWithUsage } from './harness/error.ts';

const REPEATS = 5;
const LIST_MS = 200;
const SEARCH_MS = 1_000;
const LIMITED_TOKEN = 'limited-5b1f0a77aa93c2d4';

const TARGET = 'namespace=team-7-prod&secret=app-7';
const SOURCE = 'store=aws-prod&key=apps/app-7';
const HOUR = 'since=2026-11-20T14:00:00Z&until=2026-11-20T15:00:00Z';
const [SHARED, OWN] = [fingerprintOf('shared'), printOf(7, 1)];

const CHANGES = [
  ...['', 'cursor=500000', 'state=open', HOUR, 'since=2026-11-24T09:00:00Z&review=unreviewed'],
  ...['review=unreviewed', 'review=flagged', 'review=reviewed', 'actor=ann', 'actor=bo'],
  ...['secret=app-7', 'namespace=team-7-prod', 'mapping=app-7', 'store=aws-prod', SOURCE],
  ...['code=THROTTLED', 'outcome=failed', 'outcome=refused', 'outcome=held', 'request=rotation-500'],
  ...['action=delete', 'action=create', 'action=rollback', 'action=configure', 'action=restart'],
  ...[`fingerprint=${SHARED}`, `fingerprint=${OWN}`],
];
const TIMELINES = [
  ...[TARGET, 'mapping=app-7', SOURCE, `${SOURCE}&version=3`, 'store=aws-prod'],
  ...['actor=ann', 'actor=bo', 'actor=schedule', 'actor=event'],
];
const VIEWS = [
  ...CHANGES.map((query) => `changes?limit=50&${query}`),
  ...TIMELINES.map((query) => `timeline?limit=50&${query}`),
  ...['', 'actor=ann', 'outcome=refused', 'secret=app-7'].map((query) => `audit/records?limit=50&${query}`),
  ...['', 'store=aws-prod&olderThan=90d'].map((query) => `sources?limit=50&${query}`),
  ...['', 'store=aws-prod', 'mapping=app-7'].map((query) => `graph?limit=200&${query}`),
  ...['7d&step=1h', '30d&step=3h', '90d&step=6h'].map((query) => `series?since=${query}`),
  ...['ann', 'app-7', 'apps/app-7', 'rollback', 'nowhere', 'e'].map((text) => `search?limit=50&q=${text}`),
  ...['status', 'picture', 'mappings?limit=200', 'changes/500000', 'review?limit=50', 'approvals?limit=1000'],
  ...[`reach?${SOURCE}`, `reach?${SOURCE}&version=3`],
];

const [kind = 'sqlite'] = process.argv.slice(2);
if (kind !== 'sqlite' && kind !== 'postgres')
  exitWithUsage('Usage: node bench/audit-views.ts [sqlite|postgres]');
await using stack = new AsyncDisposableStack();
const audit = stack.use(kind === 'sqlite' ? await openMillionRecords() : await openPostgres());
const limited = { name: 'limited', role: 'viewer', namespaces: ['team-7-prod'] } as const;
const api = stack.use(
  await startTestServer({
    clock: presentClock(),
    audit,
    service: millionService(),
    auth: createAuthenticator({
      tokens: [...STATIC_TOKENS, { ...limited, token: SecretValue.fromText(LIMITED_TOKEN) }],
    }),
  }),
);
const results: { readonly view: string; readonly median: number; readonly slowest: number }[] = [];
for (const [who, token] of [
  ['', TOKENS.viewer],
  [' (limited)', LIMITED_TOKEN],
] as const)
  for (const view of VIEWS) results.push(await measure(view, who, token));
results.sort((a, b) => b.slowest - a.slowest);
const width = Math.max(...results.map(({ view }) => view.length));
for (const { view, median, slowest } of results) {
  const isLate = slowest > (view.startsWith('search') ? SEARCH_MS : LIST_MS);
  const times = `${String(median).padStart(6)} ${String(slowest).padStart(6)}`;
  process.stdout.write(`${view.padEnd(width)} ${times}${isLate ? '  too slow' : ''}\n`);
}

async function openPostgres(): Promise<AuditStore & AsyncDisposable> {
  const server = stack.use(await startPostgres({ borrow: false }));
  let now = 0;
  const store = await openPostgresAudit({
    ...{ instance: 'prod-eu', replica: 'bench', clock: { now: () => now } },
    url: async () => SecretValue.fromText(server.url),
  });
  await writeMillionRecords(store, (time) => {
    now = time;
  });
  // Otherwise PostgreSQL still writes the million records to its files during the first requests.
  await query(server.url, 'checkpoint');
  return store;
}

async function measure(view: string, who: string, token: string) {
  const times: number[] = [];
  for (let n = 0; n < REPEATS; n += 1) {
    const started = performance.now();
    const { status, text } = await api.get(`/api/v1/${view}`, token);
    times.push(Math.round(performance.now() - started));
    // A person of one namespace may not see each view.
    const isExpected = status === 200 || (token === LIMITED_TOKEN && (status === 403 || status === 404));
    if (!isExpected) throw new BenchError(`${view} gave ${status}: ${text}`);
  }
  times.sort((a, b) => a - b);
  return { view: view + who, median: times[Math.floor(REPEATS / 2)] ?? 0, slowest: times.at(-1) ?? 0 };
}
