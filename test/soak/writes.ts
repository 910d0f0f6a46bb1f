import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { AuditRecord } from '../../src/audit/entry.ts';
import type { Change } from './witness.ts';

/** A successful change of a Secret by a replica, from the audit log of the API server. */
export interface Write {
  readonly verb: string;
  readonly target: string;
  readonly at: number;
  /** The resource version that an update replaced. */
  readonly replaces: string | undefined;
}

interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly resourceVersion?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
}

const CHANGING = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

/** Returns the oldest change first. The server continues in a new log file when the current one is full. */
export async function readWrites(path: string, user: string): Promise<readonly Write[]> {
  const stem = basename(path, '.log');
  const names = (await readdir(dirname(path))).filter(
    (name) => name.startsWith(stem) && name.endsWith('.log'),
  );
  const writes: Write[] = [];
  for (const name of names)
    for await (const line of createInterface({ input: createReadStream(join(dirname(path), name)) })) {
      if (!line.includes('"secrets"') || !line.includes(user)) continue;
      const event = JSON.parse(line) as AuditEvent;
      const { objectRef, verb, requestURI, responseStatus } = event;
      const code = responseStatus?.code ?? 0;
      if (event.user.username !== user || objectRef?.resource !== 'secrets') continue;
      if (!CHANGING.has(verb) || code < 200 || code > 299 || requestURI.includes('dryRun=')) continue;
      writes.push({
        verb,
        target: `${objectRef.namespace}/${objectRef.name}`,
        at: Date.parse(event.requestReceivedTimestamp),
        replaces: verb === 'update' ? objectRef.resourceVersion : undefined,
      });
    }
  return writes.sort((a, b) => a.at - b.at);
}

export interface Evidence {
  readonly writes: readonly Write[];
  readonly changes: readonly Change[];
  readonly records: readonly AuditRecord[];
  /** The resource versions that others wrote. */
  readonly others: ReadonlySet<string>;
  /** How often others deleted each target. */
  readonly deletedByOthers: ReadonlyMap<string, number>;
}

export interface Verdict {
  readonly writes: number;
  readonly records: number;
  /** The contradictions between the logs, one sentence each. */
  readonly findings: readonly string[];
}

/**
 * Compares three independent logs: requests in the API server's audit log, watch events, and our audit. Each write must
 * occur exactly once in each log.
 */
export function judgeWrites({ writes, changes, records, others, deletedByOthers }: Evidence): Verdict {
  const findings: string[] = [];
  const outcomes = records.filter(
    ({ phase, outcome, secret }) => phase === 'outcome' && outcome === 'ok' && secret,
  );
  const targetOutcomes = outcomes.filter(({ action }) => action !== 'restart');
  const key = ({ namespace, secret }: AuditRecord) => `${namespace}/${secret}`;
  const writesBy = Map.groupBy(writes, ({ target }) => target);
  const changesBy = Map.groupBy(changes, ({ target }) => target);
  const outcomesBy = Map.groupBy(targetOutcomes, key);
  const targets = new Set([...writesBy.keys(), ...outcomesBy.keys()]);

  for (const target of targets) {
    const requested = writesBy.get(target) ?? [];
    const recordedOutcomes = outcomesBy.get(target) ?? [];
    const targetChanges = changesBy.get(target) ?? [];
    let byOthers = deletedByOthers.get(target) ?? 0;
    const ownChanges = targetChanges.filter(({ type, resourceVersion }) => {
      if (type !== 'DELETED') return !others.has(resourceVersion);
      byOthers -= 1;
      return byOthers < 0;
    });
    // Excludes the first event of a Secret that existed before the start of the test, for example of a Secret that a
    // mapping merges into.
    const madeChanges = ownChanges.filter(
      ({ type }, n) => !(type === 'ADDED' && n === 0 && requested[0]?.verb === 'patch'),
    );
    if (requested.length !== madeChanges.length)
      findings.push(`${target}: ${requested.length} write requests and ${madeChanges.length} watch events`);
    if (requested.length !== recordedOutcomes.length)
      findings.push(
        `${target}: ${requested.length} write requests and ${recordedOutcomes.length} audit records`,
      );
    const recorded = new Map<string, number>();
    for (const { resourceVersion } of recordedOutcomes)
      if (resourceVersion !== undefined)
        recorded.set(resourceVersion, (recorded.get(resourceVersion) ?? 0) + 1);
    for (const [version, count] of recorded)
      if (count > 1) findings.push(`${target}: the audit contains ${version} ${count} times`);
    const withoutVersion = recordedOutcomes.filter(
      ({ resourceVersion }) => resourceVersion === undefined,
    ).length;
    const unrecorded = madeChanges.filter(({ resourceVersion }) => !recorded.has(resourceVersion));
    if (unrecorded.length > withoutVersion)
      findings.push(
        `${target}: not in the audit: ${unrecorded.map(({ resourceVersion }) => resourceVersion).join(' ')}`,
      );
    findings.push(...redundant(target, targetChanges, others));
  }
  findings.push(...unpaired(records));
  return { writes: writes.length, records: records.length, findings };
}

/** Finds writes that left a Secret unchanged. */
function redundant(target: string, all: readonly Change[], others: ReadonlySet<string>): readonly string[] {
  return all.flatMap((change, n) => {
    const before = all[n - 1];
    const same =
      before?.type !== 'DELETED' && change.type === 'MODIFIED' && before?.content === change.content;
    return same && !others.has(change.resourceVersion)
      ? [`${target}: ${change.resourceVersion} changed nothing`]
      : [];
  });
}

/** Finds intents that do not have exactly one outcome, and outcomes without an earlier intent. */
function unpaired(records: readonly AuditRecord[]): readonly string[] {
  const findings: string[] = [];
  const open = new Map<string, number>();
  const key = ({ requestId, namespace, secret, attempt, action, mapping, note }: AuditRecord) =>
    JSON.stringify([
      requestId,
      namespace,
      secret,
      attempt,
      action,
      mapping,
      action === 'restart' ? note : '',
    ]);
  for (const record of records.filter(({ phase, action }) => phase !== undefined && action !== 'restart')) {
    const count = open.get(key(record)) ?? 0;
    if (record.phase === 'intent') {
      if (count > 0) findings.push(`record ${record.sequence}: the same intent twice`);
      open.set(key(record), count + 1);
    } else if (count === 0) findings.push(`record ${record.sequence}: an outcome without an intent`);
    else open.set(key(record), count - 1);
  }
  for (const [id, count] of open) if (count > 0) findings.push(`an intent without an outcome: ${id}`);
  return findings;
}
