import { setImmediate } from 'node:timers/promises';
import type { Action, AuditRecord, KeyChanges } from '../entry.ts';
import { type AuditStore, pagesOf, type Review } from '../store.ts';
import { type OldSource, oldSources, type SourceAge } from './report-ages.ts';

/** What happened in a time, for people who look at it once a week. Lists are bounded; their counts are whole. */
export interface Report {
  /** RFC 3339, both ends included. */
  readonly since: string;
  readonly until: string;
  readonly records: number;
  readonly changes: { readonly total: number; readonly byAction: Readonly<Record<string, number>> };
  /** Targets that were changed, the one with most changes first. */
  readonly changed: Listed<ChangedTarget>;
  /** What was refused or failed, each once with its code, the one that was seen last first. */
  readonly refused: Listed<Trouble>;
  readonly failed: Listed<Trouble>;
  readonly held: Listed<Happening>;
  readonly released: Listed<Happening>;
  /** Sources that were never read before. */
  readonly firstRead: Listed<{ readonly store: string; readonly key: string; readonly time: string }>;
  readonly notRotated: Listed<OldSource>;
  /** Of people: commands, and what else they asked for. */
  readonly commands: Listed<Happening>;
  readonly exports: number;
  readonly configurationChanges: number;
  /** Of the records of this time; reviews themselves need none. */
  readonly review: { readonly unreviewed: number; readonly reviewed: number; readonly flagged: number };
  readonly flagged: Listed<Flagged>;
}

export interface Listed<T> {
  readonly total: number;
  /** Not more than `MOST`. */
  readonly items: readonly T[];
}

export interface ChangedTarget {
  readonly namespace: string;
  readonly secret: string;
  readonly mapping?: string;
  readonly changes: number;
  readonly keys: KeyChanges;
  /** The last change. */
  readonly time: string;
  readonly sequence: number;
}

export interface Trouble {
  readonly code: string;
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  readonly store?: string;
  readonly key?: string;
  readonly times: number;
  readonly first: string;
  readonly last: string;
  /** Of the last one. */
  readonly sequence: number;
}

export interface Happening {
  readonly sequence: number;
  readonly time: string;
  readonly by: string;
  readonly what: string;
}

export interface Flagged extends Happening {
  readonly note?: string;
}

export interface ReportWish {
  readonly since: string;
  readonly until: string;
  /** The sources that must be rotated, with how often. */
  readonly ages: readonly SourceAge[];
}

/** As many as somebody reads in a mail. */
export const MOST = 50;
const PAGE = 500;

/** A rollback is a word of somebody: what it writes is an update of its own. */
const CHANGES: readonly Action[] = ['create', 'update', 'delete', 'repair', 'adopt'];

export async function report(
  audit: Pick<AuditStore, 'list' | 'latest' | 'reviews'>,
  { since, until, ages }: ReportWish,
): Promise<Report> {
  const tally = createTally();
  for await (const page of pagesOf(audit, { since, until }, PAGE)) {
    const reviews = await audit.reviews(page.map(({ sequence }) => sequence));
    for (const record of page) tally.take(record, reviews.get(record.sequence));
    await setImmediate();
  }
  const firstRead = [];
  for (const { store, key, time } of tally.reads()) {
    const earlier = { store, key, outcome: 'ok', until: justBefore(since) } as const;
    if ((await audit.latest(earlier, ['read'])) === undefined) firstRead.push({ store, key, time });
  }
  return {
    since,
    until,
    ...tally.result(),
    firstRead: listed(firstRead),
    notRotated: listed(await oldSources(audit, ages, until)),
  };
}

function justBefore(time: string): string {
  return new Date(Date.parse(time) - 1).toISOString();
}

function listed<T>(items: readonly T[]): Listed<T> {
  return { total: items.length, items: items.slice(0, MOST) };
}

function createTally() {
  let [records, changesTotal, exports, configurationChanges] = [0, 0, 0, 0];
  const byAction: Record<string, number> = {};
  const changed = new Map<string, ChangedTarget>();
  const troubles = { refused: new Map<string, Trouble>(), failed: new Map<string, Trouble>() };
  const happenings = { held: [], released: [], commands: [] } as Record<
    'held' | 'released' | 'commands',
    Happening[]
  >;
  const reads = new Map<string, { store: string; key: string; time: string }>();
  const review = { unreviewed: 0, reviewed: 0, flagged: 0 };
  const flagged: Flagged[] = [];

  const change = (record: AuditRecord): void => {
    changesTotal += 1;
    byAction[record.action] = (byAction[record.action] ?? 0) + 1;
    const { namespace = '', secret = '', mapping, keys, time, sequence } = record;
    const id = `${namespace}/${secret}`;
    const newer = changed.get(id);
    changed.set(id, {
      namespace,
      secret,
      ...(mapping === undefined ? {} : { mapping }),
      time,
      sequence,
      ...newer,
      changes: (newer?.changes ?? 0) + 1,
      keys: together(newer?.keys, keys),
    });
  };
  const trouble = (kind: 'refused' | 'failed', record: AuditRecord): void => {
    const { code = 'INTERNAL', mapping, namespace, secret, store, key, time, sequence } = record;
    const id = JSON.stringify([code, mapping, namespace, secret, store, key]);
    const later = troubles[kind].get(id);
    const about = { mapping, namespace, secret, store, key };
    const known = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined));
    troubles[kind].set(id, {
      code,
      ...known,
      last: time,
      sequence,
      ...later,
      first: time,
      times: (later?.times ?? 0) + 1,
    });
  };

  return {
    /** Newest first. */
    take(record: AuditRecord, said: Review | undefined): void {
      const { action, outcome, phase, sequence, time } = record;
      records += 1;
      if (action === 'review') return;
      review[said?.state ?? 'unreviewed'] += 1;
      const happening = (): Happening => ({ sequence, time, by: whoOf(record), what: whatOf(record) });
      if (said?.state === 'flagged')
        flagged.push({ ...happening(), ...(said.note === undefined ? {} : { note: said.note }) });
      if (phase === 'intent') return;
      if (CHANGES.includes(action) && outcome === 'ok') change(record);
      if (action === 'hold') happenings.held.push(happening());
      // A run that failed sums up what has records of its own.
      else if (action !== 'sweep' && (outcome === 'refused' || outcome === 'failed'))
        trouble(outcome, record);
      if (action === 'release') happenings.released.push(happening());
      if (action === 'command' || action === 'rollback' || action === 'unpin')
        happenings.commands.push(happening());
      if (action === 'export' && record.counts !== undefined) exports += 1;
      if (action === 'configure' && outcome === 'ok') configurationChanges += 1;
      if (action === 'read' && outcome === 'ok' && record.store !== undefined && record.key !== undefined)
        reads.set(JSON.stringify([record.store, record.key]), {
          store: record.store,
          key: record.key,
          time,
        });
    },
    reads: () => [...reads.values()],
    result: () => ({
      records,
      changes: { total: changesTotal, byAction },
      changed: listed([...changed.values()].sort((a, b) => b.changes - a.changes)),
      refused: listed([...troubles.refused.values()]),
      failed: listed([...troubles.failed.values()]),
      held: listed(happenings.held),
      released: listed(happenings.released),
      commands: listed(happenings.commands),
      exports,
      configurationChanges,
      review,
      flagged: listed(flagged),
    }),
  };
}

function together(a: KeyChanges | undefined, b: KeyChanges): KeyChanges {
  if (a === undefined) return b;
  const both = (name: keyof KeyChanges): readonly string[] => [...new Set([...a[name], ...b[name]])];
  return { added: both('added'), changed: both('changed'), removed: both('removed') };
}

function whoOf({ actor }: AuditRecord): string {
  return actor.name ?? actor.kind;
}

function whatOf({ action, namespace, secret, store, key, note, keys }: AuditRecord): string {
  const target = secret === undefined ? [] : [`${namespace}/${secret}`];
  const source = store === undefined ? [] : [key === undefined ? store : `${store}: ${key}`];
  const lost = keys.removed.map((name) => `-${name}`);
  return [...(action === 'command' ? [] : [action]), ...target, ...source, ...lost, note ?? '']
    .join(' ')
    .trim();
}
