import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { AuditRecord } from '../../src/audit/entry.ts';
import type { Change } from './witness.ts';

/** A request of a replica that changed a Secret, as the API server's own audit log has it. */
export interface Write {
  readonly verb: string;
  readonly target: string;
  readonly at: number;
  /** Of the object that it was made from; an update only. */
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

/** Oldest first. The server starts another file when one is full. */
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
  /** Resource versions that others wrote, and how often they deleted a target. */
  readonly others: ReadonlySet<string>;
  readonly deletedByOthers: ReadonlyMap<string, number>;
}

export interface Verdict {
  readonly writes: number;
  readonly records: number;
  /** What does not fit together, in words. */
  readonly findings: readonly string[];
}

/**
 * Holds three independent accounts against each other: what the API server says it was asked, what it told its
 * watchers, and what the audit says was done. Each write must be in each of them exactly once.
 */
export function judgeWrites({ writes, changes, records, others, deletedByOthers }: Evidence): Verdict {
  const findings: string[] = [];
  const outcomes = records.filter(
    ({ phase, outcome, secret }) => phase === 'outcome' && outcome === 'ok' && secret,
  );
  const ofTargets = outcomes.filter(({ action }) => action !== 'restart');
  const key = ({ namespace, secret }: AuditRecord) => `${namespace}/${secret}`;
  const writesBy = Map.groupBy(writes, ({ target }) => target);
  const changesBy = Map.groupBy(changes, ({ target }) => target);
  const outcomesBy = Map.groupBy(ofTargets, key);
  const targets = new Set([...writesBy.keys(), ...outcomesBy.keys()]);

  for (const target of targets) {
    const asked = writesBy.get(target) ?? [];
    const said = outcomesBy.get(target) ?? [];
    const all = changesBy.get(target) ?? [];
    let byOthers = deletedByOthers.get(target) ?? 0;
    const mine = all.filter(({ type, resourceVersion }) => {
      if (type !== 'DELETED') return !others.has(resourceVersion);
      byOthers -= 1;
      return byOthers < 0;
    });
    // Those that others made before the start: what we merge into.
    const made = mine.filter(({ type }, n) => !(type === 'ADDED' && n === 0 && asked[0]?.verb === 'patch'));
    if (asked.length !== made.length)
      findings.push(`${target}: ${asked.length} writes were asked for and ${made.length} changes seen`);
    if (asked.length !== said.length)
      findings.push(`${target}: ${asked.length} writes were asked for and ${said.length} are in the audit`);
    const recorded = new Map<string, number>();
    for (const { resourceVersion } of said)
      if (resourceVersion !== undefined)
        recorded.set(resourceVersion, (recorded.get(resourceVersion) ?? 0) + 1);
    for (const [version, count] of recorded)
      if (count > 1) findings.push(`${target}: the audit has ${version} ${count} times`);
    const unnamed = said.filter(({ resourceVersion }) => resourceVersion === undefined).length;
    const unknown = made.filter(({ resourceVersion }) => !recorded.has(resourceVersion));
    if (unknown.length > unnamed)
      findings.push(
        `${target}: not in the audit: ${unknown.map(({ resourceVersion }) => resourceVersion).join(' ')}`,
      );
    findings.push(...redundant(target, all, others));
  }
  findings.push(...unpaired(records));
  return { writes: writes.length, records: records.length, findings };
}

/** Two states in a row that differ in nothing: the second write was for nothing. */
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

/** Each intent has one outcome, and each outcome one intent before it. */
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
