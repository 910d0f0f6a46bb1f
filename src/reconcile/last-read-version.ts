import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore, RecordFilter } from '../audit/store.ts';
import { objectTypeOf, type SourceObject, type StampedVersion } from '../core/read-result.ts';

/** The source that was read. A source without `object` is a plain secret. */
export interface ReadSource {
  readonly store: string;
  readonly key: string;
  readonly object?: SourceObject | undefined;
  /** The version that a mapping names. If absent, the mapping uses the current version. */
  readonly version?: string | undefined;
}

/**
 * Returns the note of a read. It contains the hash of the store's definition at the time of the read. It also contains
 * the object type, unless the object is a plain secret.
 */
export function definitionNote(definition: string | undefined, object: SourceObject): string {
  const note = `definition ${definition ?? 'unknown'}`;
  return object === 'secret' ? note : `${note} object ${object}`;
}

/**
 * Returns the note of a read with a stamp. A stamp is a text in a store's list that changes with every new version of a
 * key.
 */
function stampNote(definition: string, stamp: string, object: SourceObject): string {
  return `${definitionNote(definition, object)} stamp ${stamp}`;
}

/** Returns the note of a read whose result is not an absence. A plain secret without a stamp gets no note. */
export function readNote(
  definition: string | undefined,
  object: SourceObject,
  stamp?: string,
): { readonly note?: string } {
  if (definition !== undefined && stamp !== undefined) return { note: stampNote(definition, stamp, object) };
  return object === 'secret' ? {} : { note: definitionNote(definition, object) };
}

type ReadRecord = Pick<AuditRecord, 'note' | 'outcome' | 'sources'>;

/**
 * Whether the record of a read concerns this source. The object type must match. If the read of a named version failed,
 * its record concerns only sources that name this version. If it succeeded, its record concerns all versions, because
 * names such as `AWSPREVIOUS` are not recorded.
 */
export function isReadOf(record: ReadRecord, source: Omit<ReadSource, 'store' | 'key'>): boolean {
  const [failed] = record.sources;
  return (
    isAboutObject(record, objectTypeOf(source)) &&
    (record.outcome === 'ok' || failed?.version === source.version)
  );
}

function isAboutObject({ note }: Pick<ReadRecord, 'note'>, object: SourceObject): boolean {
  const recordedObject = /^definition \S* object (\S+)/.exec(note ?? '')?.[1] ?? 'secret';
  return recordedObject === object;
}

/**
 * The maximum number of records to skip because they concern other objects with this name. There may be many such
 * records, because every read of an absent object is recorded.
 */
const MAX_UNRELATED_RECORDS = 200;

/**
 * Returns the record of the latest read of a source. Returns undefined if too many newer reads concern other objects
 * with the same name. The source then counts as never read, which costs at most one extra record or read.
 */
export async function lastRead(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  source: ReadSource,
): Promise<AuditRecord | undefined> {
  const { store, key, version } = source;
  const object = objectTypeOf(source);
  if (version !== undefined) {
    const byVersion = await audit.latest({ store, key, version }, ['read']);
    if (byVersion?.outcome !== 'failed')
      return byVersion !== undefined && isAboutObject(byVersion, object) ? byVersion : undefined;
    // The failure was recorded under the name of the version, such as AWSPREVIOUS. A successful read is recorded under
    // the version that this name stands for. So look for a successful read of any version.
    const read = await audit.latest({ store, key, outcome: 'ok' }, ['read']);
    return read !== undefined && read.sequence > byVersion.sequence && isAboutObject(read, object)
      ? read
      : byVersion;
  }
  return lastReadMatching(audit, { store, key }, source);
}

/** Does the same as `lastRead`, but searches only the records that match the filter. */
export async function lastReadMatching(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  filter: RecordFilter,
  source: Omit<ReadSource, 'store' | 'key'>,
): Promise<AuditRecord | undefined> {
  const last = await audit.latest(filter, ['read']);
  if (last === undefined || isReadOf(last, source)) return last;
  const page = { limit: MAX_UNRELATED_RECORDS, before: last.sequence };
  const earlier = await audit.list({ ...filter, action: 'read' }, page);
  return earlier.find((record) => isReadOf(record, source));
}

/**
 * The maximum number of reads to search, starting with the latest. Some of them may concern named versions of the key,
 * or come from other installations that share the audit.
 */
const EARLIER_READS = 10;

/**
 * Returns the latest recorded version of a key, if it was recorded with a stamp. Any process may have read it. The
 * stamp in a store's list changes with every new version, so the list shows whether the recorded version is still
 * current. Skips reads without a stamp, from another definition of the store, and of another object type. Returns
 * undefined if the latest read failed, because only another read shows whether the failure has ended.
 */
export async function lastReadVersion(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  source: { readonly store: string; readonly key: string },
  definition: string | undefined,
): Promise<StampedVersion | undefined> {
  if (definition === undefined) return undefined;
  const last = await lastRead(audit, source);
  if (last?.outcome !== 'ok') return undefined;
  const stamped = stampedVersion(last, definition);
  if (stamped !== undefined) return stamped;
  const earlier = await audit.list(
    { ...source, action: 'read', outcome: 'ok' },
    { limit: EARLIER_READS, before: last.sequence },
  );
  return earlier.map((record) => stampedVersion(record, definition)).find((version) => version !== undefined);
}

function stampedVersion({ note, sources }: AuditRecord, definition: string): StampedVersion | undefined {
  const version = sources[0]?.version;
  const prefix = stampNote(definition, '', 'secret');
  if (version === undefined || !note?.startsWith(prefix)) return undefined;
  return { version, stamp: note.slice(prefix.length) };
}
