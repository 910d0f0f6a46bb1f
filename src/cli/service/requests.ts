import { AppError } from '../../core/errors.ts';
import { mapConcurrently } from '../../core/semaphore.ts';
import { compareTargets, formatTarget, type TargetId } from '../../core/target.ts';
import { summaryOf } from '../../reconcile/outcome.ts';
import type { WindowOverride } from '../../service/approvals.ts';
import { UsageError } from '../errors.ts';
import type { Progress } from '../texts/output.ts';
import { type Held, HeldList, MappingList, OrphansAnswer, PruneResult, SyncResult } from './answers.ts';
import type { Client } from './client.ts';

/** Number of mappings that are requested in parallel. */
const AT_ONCE = 8;

/** Requests the sync of one mapping or of all mappings from the running service. */
export async function syncThrough(
  client: Client,
  only: string | undefined,
  progress: Progress,
  override?: WindowOverride,
): Promise<SyncResult> {
  const body = override && { override: true, ...override };
  const result =
    only === undefined
      ? withHeld(await syncEach(client, progress, body), await listHeld(client))
      : await forMapping(only, client.post(syncPath(only), SyncResult, body));
  // An older service reports `ok: true` even if a change is held.
  return { ...result, ok: result.ok && result.held.length === 0 };
}

async function syncEach(client: Client, progress: Progress, body: object | undefined): Promise<SyncResult> {
  const names = await mappingNames(client);
  let done = 0;
  const results = await mapConcurrently(names, AT_ONCE, async (name) => {
    const result = await syncIfThere(client, name, body);
    done += 1;
    progress.step(done, names.length, name);
    return result;
  });
  return mergeResults(results.filter((result) => result !== undefined));
}

export function releaseThrough(client: Client, id: string): Promise<SyncResult> {
  return client.post(`/api/v1/held/${encodeURIComponent(id)}/release`, SyncResult);
}

export function orphansThrough(client: Client): Promise<OrphansAnswer> {
  return client.get('/api/v1/prune', OrphansAnswer);
}

export function pruneThrough(client: Client): Promise<PruneResult> {
  return client.post('/api/v1/prune', PruneResult);
}

export type PinOrder = { readonly kind: 'rollback'; readonly to: number } | { readonly kind: 'unpin' };

export function pinThrough(
  client: Client,
  { mapping, namespace }: { readonly mapping: string; readonly namespace?: string },
  { kind, ...order }: PinOrder,
): Promise<SyncResult> {
  const body = { ...order, ...(namespace === undefined ? {} : { namespace }) };
  const path = `/api/v1/mappings/${encodeURIComponent(mapping)}/${kind}`;
  return forMapping(mapping, client.post(path, SyncResult, body));
}

/** Converts the error for an unknown mapping name to a usage error. @throws UsageError */
async function forMapping(name: string, answer: Promise<SyncResult>): Promise<SyncResult> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'NOT_FOUND') throw error;
    throw new UsageError(`there is no mapping ${JSON.stringify(name)} in the service`);
  }
}

function syncPath(mapping: string): string {
  return `/api/v1/mappings/${encodeURIComponent(mapping)}/sync`;
}

/**
 * Syncs a mapping. Returns undefined if the mapping was removed from the configuration after the mappings were listed.
 */
async function syncIfThere(
  client: Client,
  mapping: string,
  body: object | undefined,
): Promise<SyncResult | undefined> {
  try {
    return await client.post(syncPath(mapping), SyncResult, body);
  } catch (error) {
    if (error instanceof AppError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function mappingNames(client: Client): Promise<readonly string[]> {
  const names = new Set<string>();
  let query = '';
  for (;;) {
    const { mappings, next } = await client.get(`/api/v1/mappings${query}`, MappingList);
    const before = names.size;
    for (const { mapping } of mappings) names.add(mapping);
    // Stop at a page without new names. Otherwise a faulty cursor could cause an endless loop.
    if (next === undefined || names.size === before) return [...names];
    query = `?cursor=${encodeURIComponent(next)}`;
  }
}

/**
 * Merges the results of several requests. Each request has its own request id, and the merged result has the id of the
 * last request.
 */
function mergeResults(results: readonly SyncResult[]): SyncResult {
  const sum = (kind: string): number =>
    results.reduce((total, { summary }) => total + (summary[kind] ?? 0), 0);
  return {
    ok: results.every(({ ok }) => ok),
    requestId: results.at(-1)?.requestId ?? '',
    summary: { ...summaryOf(sum) },
    targets: results.flatMap(({ targets }) => targets).toSorted(compareTargets),
    held: results.flatMap(({ held }) => held).toSorted(compareTargets),
    warnings: results.flatMap(({ warnings }) => warnings).toSorted(compareTargets),
    pending: results.reduce((total, { pending }) => total + pending, 0),
  };
}

async function listHeld(client: Client): Promise<readonly Held[]> {
  const heldById = new Map<string, Held>();
  let query = '';
  for (;;) {
    const { held, next } = await client.get(`/api/v1/held${query}`, HeldList);
    const before = heldById.size;
    for (const change of held) heldById.set(change.id, change);
    if (next === undefined || heldById.size === before)
      return [...heldById.values()].toSorted(compareTargets);
    query = `?cursor=${encodeURIComponent(next)}`;
  }
}

/**
 * Adds all held changes to the result. The results of single mappings do not contain held changes of orphaned targets,
 * because no mapping owns an orphaned target.
 */
function withHeld(result: SyncResult, held: readonly Held[]): SyncResult {
  const nameOf = ({ mapping, ...id }: TargetId & { mapping: string }) => `${mapping} ${formatTarget(id)}`;
  const reported = new Set(result.targets.map(nameOf));
  const unreported = held
    .filter((change) => !reported.has(nameOf(change)))
    .map(({ mapping, namespace, secret, keys }) => {
      const error = new AppError('HELD').toJSON();
      return { mapping, namespace, secret, outcome: 'held', ...error, keys };
    });
  return {
    ...result,
    summary: { ...result.summary, held: (result.summary.held ?? 0) + unreported.length },
    targets: [...result.targets, ...unreported].toSorted(compareTargets),
    held: [...held],
  };
}
