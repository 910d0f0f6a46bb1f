import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { openSqliteAudit } from '../../src/audit/sqlite.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { RequestCounts } from '../../test/integration/services/kubernetes-api.ts';
import type { Counts } from '../doubles/double.ts';
import type { RunningDouble } from '../doubles/start.ts';
import { BenchError } from '../harness/error.ts';
import type { Lab } from './lab.ts';
import { type Ended, type Place, startProgram, type Usage } from './program.ts';

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
): Promise<Ended & { readonly summary: Readonly<Record<string, number>> }> {
  await using run = await startProgram(['sync', '--output', 'json'], place);
  const ended = await run.ended;
  const { ok, summary } = JSON.parse(ended.stdout) as { ok: boolean; summary: Record<string, number> };
  if (!ok) throw new BenchError(`sync: ${JSON.stringify(summary)}`);
  return { ...ended, summary };
}

export interface Served {
  readonly ended: Ended;
  /** How often each key was looked at by the sweeps of this run. */
  readonly passes: number;
}

/** `serve` for so long once it is ready, with what its sweeps have done by the audit's own count. */
export async function serveFor(place: Place, seconds: number, keys: number): Promise<Served> {
  const before = await lastSweep(place);
  await using run = await startProgram(['serve'], place);
  await untilReady(place, run.ended);
  await Promise.race([sleep(seconds * 1_000), run.ended]);
  const ended = await run.stop();
  const last = await lastSweep(place);
  const swept = last?.counts?.keys;
  if (swept === undefined || last?.sequence === before?.sequence)
    throw new BenchError(
      `the service made no sweep within ${seconds} s: the machine is too busy to measure this`,
    );
  return { ended, passes: swept / keys };
}

/** `serve` until there are so many Secrets; gives how long that took from its start, and what was used by then. */
export async function serveUntil(
  place: Place,
  lab: Lab,
  { namespace, secrets }: { readonly namespace: string; readonly secrets: number },
): Promise<Usage & { readonly ms: number }> {
  await using run = await startProgram(['serve'], place);
  const deadline = performance.now() + 300_000;
  while ((await lab.secrets(namespace)) < secrets) {
    if (performance.now() > deadline) throw new BenchError('the first sync did not end within five minutes');
    await Promise.race([sleep(20), run.ended]);
  }
  const ms = performance.now() - run.startedAt;
  const usage = await run.usage();
  await run.stop();
  return { ...usage, ms };
}

async function untilReady({ address }: Place, ended: Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    try {
      const { statusCode, body } = await request(`${address}/readyz`);
      await body.dump();
      if (statusCode === 200) return;
    } catch (error) {
      // It does not listen yet.
      if (!(error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED')) throw error;
    }
    if (performance.now() > deadline) throw new BenchError('the service was not ready within two minutes');
    await Promise.race([sleep(50), ended]);
  }
}

/** The last record of sweeps: a service leaves one at its end, `sync` one for each run, with other counts. */
async function lastSweep({ folder }: Place): Promise<AuditRecord | undefined> {
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
