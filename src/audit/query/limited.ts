import { LRUCache } from 'lru-cache';
import { matches } from '../../core/glob.ts';
import { canonical } from '../chain.ts';
import type { AuditRecord } from '../entry.ts';

import type { RecordIndex } from '../record-index.ts';
import type { AuditStore } from '../store.ts';
import type { AuditSummaries, FoundNote } from '../summaries.ts';

type Limited = Pick<AuditStore, 'list' | 'get' | 'storedRecords' | 'reviews' | 'index' | 'summaries'>;

const PAGE = 500;
/** A page of records, with room for concurrent queries. */
const MAX_REMEMBERED = 5_000;

/**
 * Returns the audit as a person sees it who may see only some namespaces. Other records do not exist for this person.
 * That includes records without a namespace, because a read, a sweep or a change of the configuration can concern any
 * namespace.
 *
 * @param namespaces Globs.
 */
export function limitToNamespaces(audit: Limited, namespaces: readonly string[]): Limited {
  // Remember the records that were returned, because the reviews of most of them are read next.
  const visible = new LRUCache<number, true>({ max: MAX_REMEMBERED });
  const remember = (records: readonly AuditRecord[]): readonly AuditRecord[] => {
    for (const { sequence } of records) visible.set(sequence, true);
    return records;
  };
  const list: Limited['list'] = async (filter, page) =>
    remember(await audit.list({ ...filter, namespaces }, page));

  async function get(sequence: number): Promise<AuditRecord | undefined> {
    const [record] = await list({}, { limit: 1, before: sequence + 1, after: sequence - 1 });
    return record;
  }

  return {
    list,
    get,
    async *storedRecords(from) {
      for (let after = from - 1; ; ) {
        const page = await list({}, { limit: PAGE, after });
        for (const { hash, ...rest } of page) yield { text: canonical(rest), hash, columnsMatch: true };
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return;
        after = last.sequence;
      }
    },
    index: limitIndex(audit.index, namespaces),
    summaries: limitSummaries(audit.summaries, namespaces, get),
    async reviews(sequences) {
      const known = [];
      for (const sequence of sequences)
        if (visible.has(sequence) || (await get(sequence)) !== undefined) known.push(sequence);
      return audit.reviews(known);
    },
  };
}

/** Reads and changes of the configuration have no namespace, so they do not exist for this person. */
function limitIndex(index: RecordIndex, namespaces: readonly string[]): RecordIndex {
  const isVisible = (namespace: string): boolean => namespaces.some((glob) => matches(glob, namespace));
  return {
    openIntents: (sequences) => index.openIntents(sequences),
    targetNeighbors: async (target, query) =>
      isVisible(target.namespace) ? index.targetNeighbors(target, query) : [],
    nearestUse: async () => undefined,
    configurations: async () => [],
  };
}

/** The number of notes that are read to find the visible ones. */
const MAX_NOTES = 200;

/**
 * A note is visible if the record is visible that the note is about. The versions of sources can concern any namespace.
 *
 * @param get Returns a visible record.
 */
function limitSummaries(
  summaries: AuditSummaries,
  namespaces: readonly string[],
  get: (sequence: number) => Promise<AuditRecord | undefined>,
): AuditSummaries {
  return {
    counts: (query) => summaries.counts(query, namespaces),
    sourceVersions: async () => [],
    targetsOfSource: (source, limit) => summaries.targetsOfSource(source, limit, namespaces),
    findNames: (text, limit) => summaries.findNames(text, limit, namespaces),
    async findNotes(text, limit) {
      const visible: FoundNote[] = [];
      for (const note of await summaries.findNotes(text, MAX_NOTES)) {
        if (visible.length === limit) break;
        if ((await get(note.about)) !== undefined) visible.push(note);
      }
      return visible;
    },
  };
}
