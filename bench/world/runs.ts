import { join } from 'node:path';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { RequestCounts } from '../../test/integration/services/kubernetes-api.ts';
import type { Counts } from '../doubles/double.ts';
import type { RunningDouble } from '../doubles/start.ts';
import { BenchError } from '../harness/error.ts';
import type { Lab } from './lab.ts';
import { type Ended, type Place, runProgram, startProgram } from './program.ts';
import type { Usage } from './usage.ts';
import { isReady, waitFor, waitUntil } from './wait.ts';

/** What a run cost: at the store, and at the API server for Secrets. */
export interface Cost {
  readonly store: Counts;
  readonly cluster: RequestCounts;
}

export async function costOf<T>(
  lab: Lab,
  double: RunningDouble,
  work: () => Promise<T>,
): Promise<Cost & { readonly result: T }> {
  const { result, counts } = await double.during(() => lab.requestsOfSecrets(work));
  return { store: counts, cluster: result.requests, result: result.result };
}

/** `sync`, once, to its end. */
export async function syncOnce(
  place: Place,
): Promise<Ended & Usage & { readonly summary: Readonly<Record<string, number>> }> {
  const ended = await runProgram(['sync', '--output', 'json'], place);
  const { ok, summary } = JSON.parse(ended.stdout) as { ok: boolean; summary: Record<string, number> };
  if (!ok) throw new BenchError(`sync: ${JSON.stringify(summary)}`);
  return { ...ended, summary };
}

/** `serve` for so long once it is ready; gives how often its sweeps looked at each key, by the audit's own count. */
export async function serveFor(place: Place, seconds: number, keys: number): Promise<number> {
  const before = await lastSweep(place);
  await using run = await startProgram(['serve'], place);
  await waitUntil('the start', run, () => isReady(place));
  await waitFor(seconds * 1_000, run);
  await run.stop();
  const last = await lastSweep(place);
  const swept = last?.counts?.keys;
  if (swept === undefined || last?.sequence === before?.sequence)
    throw new BenchError(
      `the service made no sweep within ${seconds} s: the machine is too busy to measure this`,
    );
  return swept / keys;
}

/** What the program logs of each target that it has written, when the write is on record. */
export const TARGET_CHANGED = 'target changed';

/** `serve` until there are so many Secrets; gives how long that took from its start, and what was used by then. */
export async function serveUntil(
  place: Place,
  lab: Lab,
  { namespace, secrets }: { readonly namespace: string; readonly secrets: number },
): Promise<Usage & { readonly ms: number }> {
  await using run = await startProgram(['serve'], place);
  await run.logged(TARGET_CHANGED, secrets);
  const ms = performance.now() - run.startedAt;
  const usage = await run.usage();
  const made = await lab.secrets(namespace);
  if (made !== secrets) throw new BenchError(`${made} Secrets instead of ${secrets}`);
  await run.stop();
  return { ...usage, ms };
}

/** The last record of sweeps: a service leaves one at its end, `sync` one for each run, with other counts. */
export async function lastSweep({ folder }: Pick<Place, 'folder'>): Promise<AuditRecord | undefined> {
  const path = join(folder, 'state', 'audit.db');
  await using audit = await openSqliteAudit({
    path,
    instance: '',
    replica: '',
    clock: systemClock,
    readOnly: true,
  });
  const [last] = await audit.list({ action: 'sweep' }, { limit: 1 });
  return last;
}

const WRITES = ['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION'];

export function writesIn(cluster: RequestCounts): number {
  return WRITES.reduce((sum, verb) => sum + (cluster[verb] ?? 0), 0);
}
