import type { AuditRecord } from '../entry.ts';
import { type AuditStore, pagesOf, type RecordFilter } from '../store.ts';
import { type PageRequest, pageOf, type QueryPage } from './query.ts';

/** A version of a source, with the fingerprint that matched its value. */
export interface TracedVersion {
  readonly store: string;
  readonly key: string;
  readonly version: string;
  readonly fingerprint: string;
  /** The time of the oldest read of this version that the audit still contains, in RFC 3339 format. */
  readonly firstRead: string;
}

export interface Trace extends QueryPage {
  /** The source versions that contained the value, most recently read first. */
  readonly versions: readonly TracedVersion[];
  /** Whether the value has more versions than the list may contain. */
  readonly more: boolean;
}

/**
 * The maximum number of versions of one value. Each version costs one query per page. A value with more versions than
 * this is usually a trivial text, such as an empty string or an example.
 */
const MAX_VERSIONS = 50;
const PAGE_SIZE = 500;

/**
 * Finds where a value has been used. The record of a read contains the fingerprint of the value and the version of the
 * source. The record of a change contains the fingerprint of each key's value and the source versions that were used.
 * So the result is every record with one of the fingerprints, and every record that refers to a source version with
 * this value. Records of older releases contain no fingerprints of single keys. There, a property of a larger value is
 * found only by the fingerprint of the whole value.
 *
 * @param fingerprints The fingerprints of the value, one for each fingerprint key.
 */
export async function trace(
  audit: Pick<AuditStore, 'list' | 'reviews'>,
  filter: Omit<RecordFilter, 'fingerprint'>,
  fingerprints: readonly string[],
  { limit, cursor }: PageRequest,
): Promise<Trace> {
  const { versions, more } = await versionsOf(audit, filter, fingerprints);
  const before = cursor === undefined ? {} : { before: Number(cursor) };
  const filters: readonly RecordFilter[] = [
    ...fingerprints.map((fingerprint) => ({ ...filter, fingerprint })),
    ...versions.map(({ store, key, version }) => ({ ...filter, store, key, version })),
  ];
  const bySequence = new Map<number, AuditRecord>();
  for (const recordFilter of filters)
    for (const record of await audit.list(recordFilter, { limit: limit + 1, ...before }))
      bySequence.set(record.sequence, record);
  const newest = [...bySequence.values()].sort((a, b) => b.sequence - a.sequence);
  return { ...(await pageOf(audit, newest, limit)), versions, more };
}

async function versionsOf(
  audit: Pick<AuditStore, 'list'>,
  { store, key }: RecordFilter,
  fingerprints: readonly string[],
): Promise<Pick<Trace, 'versions' | 'more'>> {
  const versions = new Map<string, TracedVersion>();
  const source = { ...(store === undefined ? {} : { store }), ...(key === undefined ? {} : { key }) };
  for (const fingerprint of fingerprints) {
    const reads = { ...source, fingerprint, action: 'read', outcome: 'ok' } as const;
    for await (const page of pagesOf(audit, reads, PAGE_SIZE)) {
      const readVersions = page.flatMap(({ sources, time }) =>
        sources.map(({ property: _, ...version }) => ({ ...version, fingerprint, firstRead: time })),
      );
      for (const version of readVersions) {
        const id = JSON.stringify([version.store, version.key, version.version]);
        if (versions.size === MAX_VERSIONS && !versions.has(id)) return toResult(versions, true);
        // Records are visited newest first. `set` keeps the position of an existing entry and replaces its time, so in
        // the end the entry has the oldest time.
        versions.set(id, version);
      }
    }
  }
  return toResult(versions, false);
}

function toResult(versions: ReadonlyMap<string, TracedVersion>, more: boolean) {
  return { versions: [...versions.values()], more };
}
