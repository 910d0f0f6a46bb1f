import { setImmediate } from 'node:timers/promises';
import type { Action, AuditRecord, KeyChanges } from '../entry.ts';
import { type AuditStore, pagesOf, type Review } from '../store.ts';
import { type OverdueSource, overdueSources, type SourceMaxAge } from './source-ages.ts';

/** A summary of a period for a weekly review. Lists are limited in length, but their totals are exact. */
export interface Report {
  /** `since` and `until` are RFC 3339 times. Both ends are included. */
  readonly since: string;
  readonly until: string;
  readonly records: number;
  readonly changes: { readonly total: number; readonly byAction: Readonly<Record<string, number>> };
  /** The changed targets, beginning with the most frequently changed one. */
  readonly changed: BoundedList<ChangedTarget>;
  /** Refusals and failures, grouped by error code and affected object, most recent first. */
  readonly refused: BoundedList<ReportedFailure>;
  readonly failed: BoundedList<ReportedFailure>;
  readonly held: BoundedList<ReportEvent>;
  readonly released: BoundedList<ReportEvent>;
  /** Sources that were read for the first time in this period. */
  readonly firstRead: BoundedList<{ readonly store: string; readonly key: string; readonly time: string }>;
  readonly notRotated: BoundedList<OverdueSource>;
  /** Commands and other requests of people. */
  readonly commands: BoundedList<ReportEvent>;
  readonly exports: number;
  readonly configurationChanges: number;
  /** The number of records in this period for each review state. The reviews themselves are not counted. */
  readonly review: { readonly unreviewed: number; readonly reviewed: number; readonly flagged: number };
  readonly flagged: BoundedList<FlaggedEvent>;
}

export interface BoundedList<T> {
  readonly total: number;
  /** At most `MAX_ITEMS`. */
  readonly items: readonly T[];
}

export interface ChangedTarget {
  readonly namespace: string;
  readonly secret: string;
  readonly mapping?: string;
  readonly changes: number;
  readonly keys: KeyChanges;
  /** The time of the last change. */
  readonly time: string;
  readonly sequence: number;
}

export interface ReportedFailure {
  readonly code: string;
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  readonly store?: string;
  readonly key?: string;
  readonly times: number;
  readonly first: string;
  readonly last: string;
  /** The sequence of the last occurrence. */
  readonly sequence: number;
}

export interface ReportEvent {
  readonly sequence: number;
  readonly time: string;
  readonly by: string;
  readonly what: string;
}

export interface FlaggedEvent extends ReportEvent {
  readonly note?: string;
}

export interface ReportOptions {
  readonly since: string;
  readonly until: string;
  /** The sources that must be rotated regularly, with their maximum age. */
  readonly ages: readonly SourceMaxAge[];
}

/** The maximum number of items in a list. The report should be short enough for an email. */
export const MAX_ITEMS = 50;
const PAGE = 500;

/**
 * `rollback` is not included, because such a record contains only a person's request. The write that follows is
 * recorded as an update.
 */
const CHANGE_ACTIONS: readonly Action[] = ['create', 'update', 'delete', 'repair', 'adopt'];

export async function report(
  audit: Pick<AuditStore, 'list' | 'latest' | 'reviews'>,
  { since, until, ages }: ReportOptions,
): Promise<Report> {
  const tally = new Tally();
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
    firstRead: boundedList(firstRead),
    notRotated: boundedList(await overdueSources(audit, ages, until)),
  };
}

function justBefore(time: string): string {
  return new Date(Date.parse(time) - 1).toISOString();
}

function boundedList<T>(items: readonly T[]): BoundedList<T> {
  return { total: items.length, items: items.slice(0, MAX_ITEMS) };
}

class Tally {
  #records = 0;
  #changesTotal = 0;
  #exports = 0;
  #configurationChanges = 0;
  readonly #byAction: Record<string, number> = {};
  readonly #changed = new Map<string, ChangedTarget>();
  readonly #failures = {
    refused: new Map<string, ReportedFailure>(),
    failed: new Map<string, ReportedFailure>(),
  };
  readonly #events: Record<'held' | 'released' | 'commands', ReportEvent[]> = {
    held: [],
    released: [],
    commands: [],
  };
  readonly #reads = new Map<string, { store: string; key: string; time: string }>();
  readonly #review = { unreviewed: 0, reviewed: 0, flagged: 0 };
  readonly #flagged: FlaggedEvent[] = [];

  /** Adds one record to the report. Records must be added newest first. */
  take(record: AuditRecord, lastReview: Review | undefined): void {
    const { action, outcome, phase, sequence, time } = record;
    this.#records += 1;
    if (action === 'review') return;
    this.#review[lastReview?.state ?? 'unreviewed'] += 1;
    const event = { sequence, time, by: actorLabel(record), what: eventSummary(record) };
    if (lastReview?.state === 'flagged')
      this.#flagged.push({ ...event, ...(lastReview.note === undefined ? {} : { note: lastReview.note }) });
    if (phase === 'intent') return;
    if (CHANGE_ACTIONS.includes(action) && outcome === 'ok') this.#addChange(record);
    if (action === 'hold') this.#events.held.push(event);
    // A failed sweep is not counted, because each failed read of the sweep has its own record.
    else if (action !== 'sweep' && (outcome === 'refused' || outcome === 'failed'))
      this.#addFailure(outcome, record);
    if (action === 'release') this.#events.released.push(event);
    if (action === 'command' || action === 'rollback' || action === 'unpin')
      this.#events.commands.push(event);
    if (action === 'export' && record.counts !== undefined) this.#exports += 1;
    if (action === 'configure' && outcome === 'ok') this.#configurationChanges += 1;
    const { store, key } = record;
    if (action === 'read' && outcome === 'ok' && store !== undefined && key !== undefined)
      this.#reads.set(JSON.stringify([store, key]), { store, key, time });
  }

  #addChange(record: AuditRecord): void {
    this.#changesTotal += 1;
    this.#byAction[record.action] = (this.#byAction[record.action] ?? 0) + 1;
    const { namespace = '', secret = '', mapping, keys, time, sequence } = record;
    const id = `${namespace}/${secret}`;
    const newer = this.#changed.get(id);
    this.#changed.set(id, {
      namespace,
      secret,
      ...(mapping === undefined ? {} : { mapping }),
      time,
      sequence,
      ...newer,
      changes: (newer?.changes ?? 0) + 1,
      keys: mergeKeys(newer?.keys, keys),
    });
  }

  #addFailure(kind: 'refused' | 'failed', record: AuditRecord): void {
    const { code = 'INTERNAL', mapping, namespace, secret, store, key, time, sequence } = record;
    const id = JSON.stringify([code, mapping, namespace, secret, store, key]);
    const later = this.#failures[kind].get(id);
    const about = { mapping, namespace, secret, store, key };
    const subject = Object.fromEntries(Object.entries(about).filter(([, value]) => value !== undefined));
    this.#failures[kind].set(id, {
      code,
      ...subject,
      last: time,
      sequence,
      ...later,
      first: time,
      times: (later?.times ?? 0) + 1,
    });
  }

  /** Returns the first successful read of each source in the period. */
  reads(): readonly { readonly store: string; readonly key: string; readonly time: string }[] {
    return [...this.#reads.values()];
  }

  result(): Omit<Report, 'since' | 'until' | 'firstRead' | 'notRotated'> {
    return {
      records: this.#records,
      changes: { total: this.#changesTotal, byAction: this.#byAction },
      changed: boundedList([...this.#changed.values()].sort((a, b) => b.changes - a.changes)),
      refused: boundedList([...this.#failures.refused.values()]),
      failed: boundedList([...this.#failures.failed.values()]),
      held: boundedList(this.#events.held),
      released: boundedList(this.#events.released),
      commands: boundedList(this.#events.commands),
      exports: this.#exports,
      configurationChanges: this.#configurationChanges,
      review: this.#review,
      flagged: boundedList(this.#flagged),
    };
  }
}

function mergeKeys(a: KeyChanges | undefined, b: KeyChanges): KeyChanges {
  if (a === undefined) return b;
  const both = (name: keyof KeyChanges): readonly string[] => [...new Set([...a[name], ...b[name]])];
  return { added: both('added'), changed: both('changed'), removed: both('removed') };
}

function actorLabel({ actor }: AuditRecord): string {
  return actor.name ?? actor.kind;
}

function eventSummary({ action, namespace, secret, store, key, note, keys }: AuditRecord): string {
  const target = secret === undefined ? [] : [`${namespace}/${secret}`];
  const source = store === undefined ? [] : [key === undefined ? store : `${store}: ${key}`];
  const lost = keys.removed.map((name) => `-${name}`);
  return [...(action === 'command' ? [] : [action]), ...target, ...source, ...lost, note ?? '']
    .join(' ')
    .trim();
}
