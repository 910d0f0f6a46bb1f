import { matches as matchesGlob } from '../core/glob.ts';
import { ACTOR_KINDS, type AuditRecord, type EntrySource } from './entry.ts';
import { needsAttention } from './record-index.ts';
import type { RecordFilter } from './store.ts';

const MEMBERS = ['mapping', 'namespace', 'secret', 'action', 'phase', 'outcome', 'code', 'instance'] as const;

/**
 * Whether a record itself matches a filter, whatever the search columns of the store say. Ignores `review`, which is
 * the state of another record.
 */
export function matches(record: AuditRecord, filter: RecordFilter): boolean {
  const { since, until, actor, request, fingerprint } = filter;
  const time = Date.parse(record.time);
  if (since !== undefined && time < Date.parse(since)) return false;
  if (until !== undefined && time > Date.parse(until)) return false;
  if (actor !== undefined && actor !== (isKind(actor) ? record.actor.kind : record.actor.name)) return false;
  if (request !== undefined && request !== record.requestId) return false;
  const fingerprints = [record.before, record.after, ...Object.values(record.values ?? {})];
  if (fingerprint !== undefined && !fingerprints.includes(fingerprint)) return false;
  if (filter.attention && !needsAttention(record)) return false;
  const { namespace } = record;
  const isIn = (glob: string): boolean => namespace !== undefined && matchesGlob(glob, namespace);
  if (filter.namespaces !== undefined && !filter.namespaces.some(isIn)) return false;
  const isSame = MEMBERS.every((name) => filter[name] === undefined || filter[name] === record[name]);
  return isSame && matchesSource(record, filter);
}

function isKind(actor: string): boolean {
  return (ACTOR_KINDS as readonly string[]).includes(actor);
}

/** Whether one source of the record has all requested members. */
function matchesSource(record: AuditRecord, filter: RecordFilter): boolean {
  const wanted = [filter.store, filter.key, filter.version];
  if (wanted.every((part) => part === undefined)) return true;
  return searchedSources(record).some(({ store, key, version }) =>
    wanted.every((part, index) => part === undefined || part === [store, key, version][index]),
  );
}

/** Returns the sources of a record for searches. The source that the record is about counts too, without a version. */
export function searchedSources({
  store,
  key = '',
  sources,
}: AuditRecord): readonly Pick<EntrySource, 'store' | 'key' | 'version'>[] {
  const listed = sources.some((source) => source.store === store && source.key === key);
  return store === undefined || listed ? sources : [{ store, key, version: '' }, ...sources];
}
