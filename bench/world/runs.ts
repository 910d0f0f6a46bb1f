import { join } from 'node:path';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { RequestCounts } from '../../test/integration/services/kubernetes-api.ts';
import type { Counts } from '../fake-stores/fake-store.ts';
import type { RunningFakeStore } from '../fake-stores/start.ts';
import { BenchError } from '../harness/error.ts';
import type { Lab } from './lab.ts';
import { type FinishedProcess, runProgram, startProgram, type Workspace } from './program.ts';
import type { Usage } from './usage.ts';
import { isReady, waitFor, waitUntil } from './wait.ts';

/** The requests of one run: to the store, and to the API server for Secrets. */
export interface Cost {
  readonly store: Counts;
  readonly cluster: RequestCounts;
}

export async function costOf<T>(
  lab: Lab,
  fakeStore: RunningFakeStore,
  work: () => Promise<T>,
): Promise<Cost & { readonly result: T }> {
  const { result, counts } = await fakeStore.during(() => lab.requestsOfSecrets(work));
  return { store: counts, cluster: result.requests, result: result.result };
}

/** Runs one `sync` command until it ends. */
export async function syncOnce(
  workspace: Workspace,
): Promise<FinishedProcess & Usage & { readonly summary: Readonly<Record<string, number>> }> {
  const ended = await runProgram(['sync', '--output', 'json'], workspace);
  const { ok, summary } = JSON.parse(ended.stdout) as { ok: boolean; summary: Record<string, number> };
  if (!ok) throw new BenchError(`sync: ${JSON.stringify(summary)}`);
  return { ...ended, summary };
}

/**
 * Runs `serve` for this many seconds after it is ready. Returns how often its sweeps checked each key, according to the
 * counts in the audit log.
 */
export async function serveFor(workspace: Workspace, seconds: number, keys: number): Promise<number> {
  const before = await lastSweep(workspace);
  await using run = await startProgram(['serve'], workspace);
  await waitUntil('the start', run, () => isReady(workspace));
  await waitFor(seconds * 1_000, run);
  await run.stop();
  const last = await lastSweep(workspace);
  const swept = last?.counts?.keys;
  if (swept === undefined || last?.sequence === before?.sequence)
    throw new BenchError(
      `the service made no sweep within ${seconds} s: the machine is too busy for this measurement`,
    );
  return swept / keys;
}

/**
 * The message that the service logs for each written target. When this message appears, the audit log already contains
 * the outcome record of the write.
 */
export const TARGET_CHANGED = 'target changed';

/** Runs `serve` until this many Secrets exist. Returns the run time of the process and the resources that it used. */
export async function serveUntil(
  workspace: Workspace,
  lab: Lab,
  { namespace, secrets }: { readonly namespace: string; readonly secrets: number },
): Promise<Usage & { readonly ms: number }> {
  await using run = await startProgram(['serve'], workspace);
  await run.untilLogged(TARGET_CHANGED, secrets);
  const ms = performance.now() - run.startedAt;
  const usage = await run.usage();
  const made = await lab.secrets(namespace);
  if (made !== secrets) throw new BenchError(`${made} Secrets instead of ${secrets}`);
  await run.stop();
  return { ...usage, ms };
}

/**
 * Returns the last sweep record. A service writes a sweep record when the service ends. `sync` writes a sweep record
 * when the counts differ from the counts of the previous run.
 */
export async function lastSweep({ folder }: Pick<Workspace, 'folder'>): Promise<AuditRecord | undefined> {
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
