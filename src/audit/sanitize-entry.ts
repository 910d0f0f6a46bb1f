import { APPROVAL_ACTIONS } from '../core/approval-rules.ts';
import { isDay } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import { isFingerprint } from '../core/fingerprint.ts';
import type { FieldChange } from '../core/json.ts';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../core/words.ts';
import {
  ACTOR_KINDS,
  type Entry,
  type EntrySource,
  MAX_CHANGES,
  MAX_VALUES,
  type ReviewEntry,
} from './entry.ts';
import { limitEntry } from './limit-entry.ts';

const PHASES: readonly string[] = ['intent', 'outcome'];

/**
 * Copies only the known fields of an entry, so that no unexpected data reaches the disk. Unknown fields are dropped. A
 * known field with a wrong format, such as a secret value in place of a fingerprint, causes an INTERNAL error, and
 * nothing is stored. All numbers must be integers, because programs differ in how they print fractions. Text becomes
 * well-formed Unicode: a lone surrogate becomes U+FFFD, as in any UTF-8 encoder. An entry that is too large is shortened.
 */
export function sanitizeEntry(entry: Entry): Entry {
  return limitEntry(sanitizeMembers(entry));
}

function sanitizeMembers(entry: Entry): Entry {
  const { actor, keys } = entry;
  return {
    actor: {
      ...optional('address', actor.address, text),
      ...optional('aliases', actor.aliases, (aliases, name) => aliases.map((alias) => text(alias, name))),
      kind: oneOf(actor.kind, ACTOR_KINDS, 'actor.kind'),
      ...optional('name', actor.name, text),
      ...optional('subject', actor.subject, text),
    },
    requestId: text(entry.requestId, 'requestId'),
    ...optional('phase', entry.phase, (phase, name) => oneOf(phase, PHASES, name)),
    action: oneOf(entry.action, ACTIONS, 'action'),
    ...optional('mapping', entry.mapping, text),
    ...optional('namespace', entry.namespace, text),
    ...optional('secret', entry.secret, text),
    ...optional('store', entry.store, text),
    ...optional('key', entry.key, text),
    outcome: oneOf(entry.outcome, OUTCOMES, 'outcome'),
    ...optional('code', entry.code, code),
    sources: entry.sources.map(sanitizeSource),
    keys: { added: texts(keys.added), changed: texts(keys.changed), removed: texts(keys.removed) },
    ...optional('values', entry.values, values),
    ...optional('before', entry.before, fingerprint),
    ...optional('after', entry.after, fingerprint),
    ...optional('counts', entry.counts, counts),
    ...optional('note', entry.note, text),
    ...optional('review', entry.review, review),
    ...optional('requested', entry.requested, requested),
    ...optional('approval', entry.approval, integer),
    ...optional('count', entry.count, integer),
    ...optional('since', entry.since, time),
    ...optional('changes', entry.changes, changes),
    ...optional('configHash', entry.configHash, hash),
    ...optional('revision', entry.revision, text),
    // If the clock was set back, the duration is negative.
    durationMs: Math.max(0, integer(entry.durationMs, 'durationMs')),
    attempt: integer(entry.attempt, 'attempt'),
    ...optional('resourceVersion', entry.resourceVersion, text),
  };
}

function sanitizeSource(source: EntrySource): EntrySource {
  // Sorted members are serialized faster.
  return {
    key: text(source.key, 'sources.key'),
    ...optional('property', source.property, text),
    store: text(source.store, 'sources.store'),
    version: text(source.version, 'sources.version'),
  };
}

function review({ sequence, state, followUp }: ReviewEntry): ReviewEntry {
  return {
    ...optional('followUp', followUp, day),
    sequence: integer(sequence, 'review.sequence'),
    state: oneOf(state, REVIEW_STATES, 'review.state'),
  };
}

function requested({
  action,
  argument,
  until,
}: NonNullable<Entry['requested']>): NonNullable<Entry['requested']> {
  return {
    action: oneOf(action, APPROVAL_ACTIONS, 'requested.action'),
    argument: text(argument, 'requested.argument'),
    until: time(until, 'requested.until'),
  };
}

type Check<T> = (value: T, name: string) => T;

function optional<Name extends string, T>(
  name: Name,
  value: T | undefined,
  check: Check<T>,
): { readonly [K in Name]?: T } {
  // TypeScript widens the computed name to `string` and cannot narrow it back to `Name`.
  return value === undefined ? {} : ({ [name]: check(value, name) } as { readonly [K in Name]?: T });
}

function text(value: string, name: string): string {
  if (typeof value !== 'string') throw malformed(name);
  return value.toWellFormed();
}

function texts(values: readonly string[]): readonly string[] {
  return values.map((value) => text(value, 'keys'));
}

function oneOf<T extends string>(value: T, words: readonly string[], name: string): T {
  if (!words.includes(value)) throw malformed(name);
  return value;
}

function code(value: string, name: string): string {
  if (!/^[A-Z][A-Z0-9_]{1,63}$/.test(value)) throw malformed(name);
  return value;
}

function fingerprint(value: string, name: string): string {
  if (!isFingerprint(value)) throw malformed(name);
  return value;
}

function integer(value: number, name: string): number {
  const rounded = Math.round(value);
  if (!Number.isSafeInteger(rounded)) throw malformed(name);
  return rounded;
}

function time(value: string, name: string): string {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(value)) throw malformed(name);
  return value;
}

function day(value: string, name: string): string {
  if (!isDay(value)) throw malformed(name);
  return value;
}

function hash(value: string, name: string): string {
  if (!/^[0-9a-f]{64}$/.test(value)) throw malformed(name);
  return value;
}

function changes(fields: readonly FieldChange[]): readonly FieldChange[] {
  if (fields.length > MAX_CHANGES) throw malformed('changes');
  return fields.map(({ path, before, after }) => ({
    path: text(path, 'changes'),
    ...optional('before', before, text),
    ...optional('after', after, text),
  }));
}

function counts(values: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (!/^[a-z][A-Za-z0-9]{0,63}$/.test(name)) throw malformed('counts');
      return [name, integer(value, 'counts')];
    }),
  );
}

/**
 * Checks the fingerprints of values. Their names are keys of a Secret and must be ASCII, so every program sorts them in
 * the same order.
 */
function values(fingerprints: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(fingerprints);
  if (entries.length > MAX_VALUES) throw malformed('values');
  return Object.fromEntries(
    entries.map(([name, value]) => {
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(name)) throw malformed('values');
      return [name, fingerprint(value, 'values')];
    }),
  );
}

function malformed(name: string): AppError {
  return new AppError('INTERNAL', { subject: 'audit entry', detail: `malformed field ${name}` });
}
