import { createHash } from 'node:crypto';
import type { AuditRecord } from '../audit/entry.ts';
import { matches } from '../core/glob.ts';
import { smallest } from '../core/lists.ts';
import type { ChannelRules, Trouble, TroubleKind } from '../core/troubles.ts';
import { type Event, eventsOf } from './events.ts';

// The state machine of notifications. It reads all audit records in their order, including those about earlier messages.
// So every process that has read the same records knows which messages each channel has had.

/** What a message to a channel says. */
export interface Notification {
  readonly opened: readonly Trouble[];
  readonly closed: readonly Trouble[];
}

/** A message that was sent, as the audit has it. The records up to `until` determine its content. */
export interface Decision {
  readonly channel: string;
  /** The last record that was read. */
  readonly until: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly afterMs: number;
  /** The hash of the other rules of the channel. */
  readonly rules: number;
}

interface Tracked extends Trouble {
  readonly id: string;
  /** The channels that had a message about its beginning, and none about its end. */
  readonly notified: Set<string>;
  /** The record with which it ended, and its time. */
  ended?: { readonly sequence: number; readonly at: number };
}

/** Troubles of these kinds do not end by themselves, so they are reported at once. */
const LASTING: readonly TroubleKind[] = ['held', 'flagged', 'audit', 'expiring', 'approval'];
/** Troubles that begin within this time share a message. */
const GATHER_MS = 3_000;
/** A decision may be recorded after this many other records that follow the last one that it has read. */
const MAX_LATE_RECORDS = 10_000;

export class TroubleLog {
  #position: number;
  /** By id. */
  readonly #open = new Map<string, Tracked>();
  readonly #ended: Tracked[] = [];
  /** The last record that the messages of each channel cover. */
  readonly #notifiedUntil = new Map<string, number>();
  /** The log has read the records after this one. */
  readonly beginning: number;

  /** @param position The log reads the records after this one. */
  constructor(position: number) {
    this.#position = position;
    this.beginning = position;
  }

  /** The sequence of the last record that was read. */
  get position(): number {
    return this.#position;
  }

  /** The open troubles, with their ids. */
  open(): readonly (Trouble & { readonly id: string })[] {
    return [...this.#open.values()];
  }

  /** @param rules The present rules of each channel. */
  note(record: AuditRecord, rules: readonly ChannelRules[]): void {
    this.#position = record.sequence;
    for (const event of eventsOf(record)) this.#follow(event, record);
    const decision = decisionIn(record);
    if (decision !== undefined) this.apply(decision, rules);
    const isOld = (trouble: Tracked | undefined) =>
      (trouble?.ended?.sequence ?? Number.POSITIVE_INFINITY) < this.#position - MAX_LATE_RECORDS;
    while (isOld(this.#ended[0])) this.#ended.shift();
  }

  /** Notes that all records up to this one were read, also those that are about nothing. */
  skipTo(sequence: number): void {
    this.#position = Math.max(this.#position, sequence);
  }

  /** Returns what to tell a channel now. Undefined: nothing. */
  decide(rules: ChannelRules, now: number): Notification | undefined {
    const all = [...this.#open.values()];
    const missed = this.#missed(rules);
    const opened = [...dueIn(all, rules, now), ...missed];
    const { name } = rules;
    const over = [...this.#ended, ...all.filter((trouble) => isPast(trouble, now))];
    const closed = [...over.filter(({ notified }) => notified.has(name)), ...missed];
    return opened.length + closed.length === 0 ? undefined : { opened, closed };
  }

  /** Returns the troubles that lasted long enough, but ended before a message about them could be delivered. */
  #missed(rules: ChannelRules): readonly Tracked[] {
    const notifiedUntil = this.#notifiedUntil.get(rules.name) ?? this.beginning;
    return this.#ended.filter((trouble) => {
      const { notified, ended } = trouble;
      if (ended === undefined || ended.sequence <= notifiedUntil || notified.has(rules.name)) return false;
      return concerns(rules, trouble) && dueAt(trouble, rules) <= ended.at;
    });
  }

  /** Returns the decision to record for a message, and the record after which the next process must read. */
  decisionOf(rules: ChannelRules, at: number): { readonly decision: Decision; readonly from: number } {
    const { name: channel, afterMs } = rules;
    const needed = [...this.#open.values()].filter((trouble) => concerns(rules, trouble));
    const from = needed.length === 0 ? this.#position : smallest(needed.map(({ sequence }) => sequence)) - 1;
    return {
      decision: { channel, until: this.#position, at, afterMs, rules: hashOf(rules) },
      from,
    };
  }

  /** Notes that a message was sent. May be called several times for one decision. */
  apply({ channel, until, at, afterMs, rules: hash }: Decision, channels: readonly ChannelRules[]): void {
    this.#notifiedUntil.set(channel, Math.max(until, this.#notifiedUntil.get(channel) ?? 0));
    const rules = channels.find(({ name }) => name === channel);
    // With other rules, the channel had messages about other troubles. So it gets messages about all that are open.
    if (rules === undefined || hashOf(rules) !== hash) return;
    const known = [...this.#open.values(), ...this.#ended].filter(({ sequence }) => sequence <= until);
    const wasOpen = known.filter(({ ended }) => ended === undefined || ended.sequence > until);
    for (const trouble of dueIn(wasOpen, { ...rules, afterMs }, at)) trouble.notified.add(channel);
    for (const trouble of known)
      if ((trouble.ended?.sequence ?? Number.POSITIVE_INFINITY) <= until || isPast(trouble, at))
        trouble.notified.delete(channel);
  }

  #follow(event: Event, { sequence, time }: AuditRecord): void {
    if (event.kind === 'begin') {
      if (!this.#open.has(event.id))
        this.#open.set(event.id, { ...event.trouble, id: event.id, notified: new Set() });
      return;
    }
    const ids =
      event.kind === 'end'
        ? event.ids
        : [...this.#open.values()].filter((trouble) => isAbout(trouble, event)).map(({ id }) => id);
    for (const id of ids) {
      const trouble = this.#open.get(id);
      if (trouble === undefined) continue;
      this.#open.delete(id);
      trouble.ended = { sequence, at: Date.parse(time) };
      this.#ended.push(trouble);
    }
  }
}

/** The kinds of troubles that end when their target is no longer configured. */
const OF_CONFIGURED: readonly TroubleKind[] = ['refused', 'failed', 'contested', 'expiring'];

/** Whether a trouble is about a target, and ends when the target is no longer configured. */
export function isAbout(
  trouble: Trouble,
  target: { readonly mapping: string; readonly namespace: string; readonly secret: string },
): boolean {
  return (
    OF_CONFIGURED.includes(trouble.kind) &&
    trouble.mapping === target.mapping &&
    trouble.namespace === target.namespace &&
    trouble.secret === target.secret
  );
}

/**
 * Returns the troubles to tell. One that is due brings along the younger ones of its kind and code, so that an outage
 * that reaches target after target makes one message.
 */
function dueIn(troubles: readonly Tracked[], rules: ChannelRules, now: number): readonly Tracked[] {
  const unreported = troubles.filter(
    (trouble) => !trouble.notified.has(rules.name) && concerns(rules, trouble) && !isPast(trouble, now),
  );
  const due = unreported.filter((trouble) => dueAt(trouble, rules) <= now);
  const groups = new Set(due.map(groupOf));
  return unreported.filter((trouble) => groups.has(groupOf(trouble)));
}

function dueAt({ kind, since }: Trouble, { afterMs }: ChannelRules): number {
  return since + (LASTING.includes(kind) ? GATHER_MS : afterMs);
}

/** Troubles of one group share a message. */
export function groupOf({ kind, code }: Pick<Trouble, 'kind' | 'code'>): string {
  return `${kind} ${code ?? ''}`;
}

function concerns({ on, namespaces }: ChannelRules, { kind, namespace }: Trouble): boolean {
  if (!on.includes(kind)) return false;
  if (namespaces === undefined) return true;
  return namespace !== undefined && namespaces.some((glob) => matches(glob, namespace));
}

function isPast({ until }: Trouble, now: number): boolean {
  return until !== undefined && until <= now;
}

function hashOf({ on, namespaces }: ChannelRules): number {
  const text = JSON.stringify([[...on].sort(), namespaces ?? null]);
  return createHash('sha256').update(text).digest().readUIntBE(0, 6);
}

/** Returns the decision in a record of the action `notify`. */
export function decisionIn({ action, outcome, note, counts }: AuditRecord): Decision | undefined {
  if (action !== 'notify' || outcome !== 'ok' || note === undefined) return undefined;
  const { until, at, after, rules } = counts ?? {};
  if (until === undefined || at === undefined || after === undefined || rules === undefined) return undefined;
  return { channel: note, until, at, afterMs: after, rules };
}
