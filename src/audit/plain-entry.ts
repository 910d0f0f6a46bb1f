import { AppError } from '../core/errors.ts';
import { isFingerprint } from '../core/fingerprint.ts';
import {
  ACTIONS,
  ACTOR_KINDS,
  type Entry,
  type EntrySource,
  MOST_VALUES,
  OUTCOMES,
  REVIEW_STATES,
} from './entry.ts';

const PHASES: readonly string[] = ['intent', 'outcome'];

/**
 * An entry made anew of the known fields only, so that nothing which slipped into an object reaches the disk:
 * unknown fields are dropped; a known field of the wrong form (a value where a fingerprint belongs, a sentence
 * where a code belongs) is INTERNAL and is not stored. Integers only, since other programs print fractions
 * differently. Text is made well-formed Unicode: a lone surrogate becomes U+FFFD, as in any UTF-8 encoder.
 */
export function plainEntry(entry: Entry): Entry {
  const { actor, keys } = entry;
  return {
    actor: {
      kind: word(actor.kind, ACTOR_KINDS, 'actor.kind'),
      ...optional('name', actor.name, text),
      ...optional('address', actor.address, text),
    },
    requestId: text(entry.requestId, 'requestId'),
    ...optional('phase', entry.phase, (phase, name) => word(phase, PHASES, name)),
    action: word(entry.action, ACTIONS, 'action'),
    ...optional('mapping', entry.mapping, text),
    ...optional('namespace', entry.namespace, text),
    ...optional('secret', entry.secret, text),
    ...optional('store', entry.store, text),
    ...optional('key', entry.key, text),
    outcome: word(entry.outcome, OUTCOMES, 'outcome'),
    ...optional('code', entry.code, code),
    sources: entry.sources.map(plainSource),
    keys: { added: texts(keys.added), changed: texts(keys.changed), removed: texts(keys.removed) },
    ...optional('values', entry.values, values),
    ...optional('before', entry.before, fingerprint),
    ...optional('after', entry.after, fingerprint),
    ...optional('counts', entry.counts, counts),
    ...optional('note', entry.note, text),
    ...optional('review', entry.review, review),
    // A clock may have been set back meanwhile.
    durationMs: Math.max(0, integer(entry.durationMs, 'durationMs')),
    attempt: integer(entry.attempt, 'attempt'),
    ...optional('resourceVersion', entry.resourceVersion, text),
  };
}

function plainSource(source: EntrySource): EntrySource {
  return {
    store: text(source.store, 'sources.store'),
    key: text(source.key, 'sources.key'),
    ...optional('property', source.property, text),
    version: text(source.version, 'sources.version'),
  };
}

function review({ sequence, state }: NonNullable<Entry['review']>): NonNullable<Entry['review']> {
  return {
    sequence: integer(sequence, 'review.sequence'),
    state: word(state, REVIEW_STATES, 'review.state'),
  };
}

type Check<T> = (value: T, name: string) => T;

function optional<Name extends string, T>(
  name: Name,
  value: T | undefined,
  check: Check<T>,
): { readonly [K in Name]?: T } {
  // The computed name widens to `string`, which the compiler cannot narrow back to `Name`.
  return value === undefined ? {} : ({ [name]: check(value, name) } as { readonly [K in Name]?: T });
}

function text(value: string, name: string): string {
  if (typeof value !== 'string') throw malformed(name);
  return value.toWellFormed();
}

function texts(values: readonly string[]): readonly string[] {
  return values.map((value) => text(value, 'keys'));
}

function word<T extends string>(value: T, words: readonly string[], name: string): T {
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

function counts(values: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => {
      if (!/^[a-z][A-Za-z0-9]{0,63}$/.test(name)) throw malformed('counts');
      return [name, integer(value, 'counts')];
    }),
  );
}

/** The names are the keys of a Secret, in ASCII: so their order in the canonical text is the same for any program. */
function values(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const all = Object.entries(given);
  if (all.length > MOST_VALUES) throw malformed('values');
  return Object.fromEntries(
    all.map(([name, value]) => {
      if (!/^[-._a-zA-Z0-9]{1,253}$/.test(name)) throw malformed('values');
      return [name, fingerprint(value, 'values')];
    }),
  );
}

function malformed(name: string): AppError {
  return new AppError('INTERNAL', { about: 'audit entry', detail: `malformed field ${name}` });
}
