import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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
  await using run = startProgram(['sync', '--output', 'json'], place);
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

/** `serve` for so long, with what its sweeps have done by the audit's own count. */
export async function serveFor(place: Place, seconds: number, keys: number): Promise<Served> {
  await using run = startProgram(['serve'], place);
  await Promise.race([sleep(seconds * 1_000), run.ended]);
  const ended = await run.stop();
  return { ended, passes: (await sweptKeys(place)) / keys };
}

/** `serve` until there are so many Secrets; gives how long that took from its start, and what was used by then. */
export async function serveUntil(
  place: Place,
  lab: Lab,
  { namespace, secrets }: { readonly namespace: string; readonly secrets: number },
): Promise<Usage & { readonly ms: number }> {
  await using run = startProgram(['serve'], place);
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

/** Of the last record of sweeps, which is written at the end of each process. */
async function sweptKeys({ folder }: Place): Promise<number> {
  const path = join(folder, 'state', 'audit.db');
  await using audit = await openSqliteAudit({
    path,
    instance: '',
    replica: '',
    clock: systemClock,
    readOnly: true,
  });
  const [last] = await audit.list({ action: 'sweep' }, { limit: 1 });
  const keys = last?.counts?.keys;
  if (keys === undefined) throw new BenchError('the service has left no record of its sweeps');
  return keys;
}

const WRITES = ['POST', 'PUT', 'PATCH', 'APPLY', 'DELETE', 'DELETECOLLECTION'];

export function writesIn(cluster: RequestCounts): number {
  return WRITES.reduce((sum, verb) => sum + (cluster[verb] ?? 0), 0);
}
