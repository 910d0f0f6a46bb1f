import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore, RecordFilter } from '../audit/store.ts';
import { objectOf, type SourceObject, type StampedVersion } from '../core/reading.ts';

/** What a reading was of; without `object` the secret itself. */
export interface ReadSource {
  readonly store: string;
  readonly key: string;
  readonly object?: SourceObject | undefined;
  /** As a mapping names it; without, the current one. */
  readonly version?: string | undefined;
}

/** Ties a reading to the store as it was defined then, and to the object of that name where it is no plain secret. */
export function definitionNote(definition: string | undefined, object: SourceObject): string {
  const named = `definition ${definition ?? 'unknown'}`;
  return object === 'secret' ? named : `${named} object ${object}`;
}

/** Ties it also to what lists of that store show of it. */
function stampNote(definition: string, stamp: string, object: SourceObject): string {
  return `${definitionNote(definition, object)} stamp ${stamp}`;
}

/** What the record of a reading says that proves no absence: of a plain secret without a stamp, nothing. */
export function readingNote(
  definition: string | undefined,
  object: SourceObject,
  stamp?: string,
): { readonly note?: string } {
  if (definition !== undefined && stamp !== undefined) return { note: stampNote(definition, stamp, object) };
  return object === 'secret' ? {} : { note: definitionNote(definition, object) };
}

type Told = Pick<AuditRecord, 'note' | 'outcome' | 'sources'>;

/**
 * Whether a reading tells of this source: not of another object of that name, and of a version that a mapping names only
 * to whoever names it. A value that was read tells of them all, since a name such as `AWSPREVIOUS` is not on record.
 */
export function isReadingOf(record: Told, source: Omit<ReadSource, 'store' | 'key'>): boolean {
  const [failed] = record.sources;
  return tells(record, objectOf(source)) && (record.outcome === 'ok' || failed?.version === source.version);
}

function tells({ note }: Pick<Told, 'note'>, object: SourceObject): boolean {
  const told = /^definition \S* object (\S+)/.exec(note ?? '')?.[1] ?? 'secret';
  return told === object;
}

/** Each reading of an absence is on record, so that there may be any number of them of another object. */
const OTHERS = 200;

/**
 * The last reading of a source. Undefined also where too many of other objects of that name came after it: then it
 * counts as one that was never read, which costs a record or a reading.
 */
export async function lastReading(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  source: ReadSource,
): Promise<AuditRecord | undefined> {
  const { store, key, version } = source;
  const object = objectOf(source);
  if (version !== undefined) {
    const named = await audit.latest({ store, key, version }, ['read']);
    if (named?.outcome !== 'failed') return named !== undefined && tells(named, object) ? named : undefined;
    // Its end is on record under the version that such a name stands for.
    const read = await audit.latest({ store, key, outcome: 'ok' }, ['read']);
    return read !== undefined && read.sequence > named.sequence && tells(read, object) ? read : named;
  }
  return lastAbout(audit, { store, key }, source);
}

/** The same of those that a filter leaves. */
export async function lastAbout(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  about: RecordFilter,
  source: Omit<ReadSource, 'store' | 'key'>,
): Promise<AuditRecord | undefined> {
  const last = await audit.latest(about, ['read']);
  if (last === undefined || isReadingOf(last, source)) return last;
  const page = { limit: OTHERS, before: last.sequence };
  const before = await audit.list({ ...about, action: 'read' }, page);
  return before.find((record) => isReadingOf(record, source));
}

/** Of a key that is read by named versions as well, or by installations that share the audit. */
const FURTHER = 10;

/**
 * The last version of a key that is on record with its stamp, whichever process read it. A stamp proves itself: what
 * lists show is another one as soon as there is another version. So readings without one, from another store of the
 * same name, or of another object of that name are passed over. Undefined where the last reading failed: its end is
 * then seen by reading.
 */
export async function recallVersion(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  source: { readonly store: string; readonly key: string },
  definition: string | undefined,
): Promise<StampedVersion | undefined> {
  if (definition === undefined) return undefined;
  const last = await lastReading(audit, source);
  if (last?.outcome !== 'ok') return undefined;
  const stamped = stampedVersion(last, definition);
  if (stamped !== undefined) return stamped;
  const before = await audit.list(
    { ...source, action: 'read', outcome: 'ok' },
    { limit: FURTHER, before: last.sequence },
  );
  return before.map((record) => stampedVersion(record, definition)).find((it) => it !== undefined);
}

function stampedVersion({ note, sources }: AuditRecord, definition: string): StampedVersion | undefined {
  const version = sources[0]?.version;
  const begins = stampNote(definition, '', 'secret');
  if (version === undefined || !note?.startsWith(begins)) return undefined;
  return { version, stamp: note.slice(begins.length) };
}
