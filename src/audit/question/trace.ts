import type { AuditRecord } from '../entry.ts';
import { type AuditStore, pagesOf, type RecordFilter } from '../store.ts';
import { type Answer, type Position, pageOf } from './question.ts';

/** What a store held under one version, and the fingerprint by which it was found. */
export interface TracedVersion {
  readonly store: string;
  readonly key: string;
  readonly version: string;
  readonly fingerprint: string;
  /** RFC 3339: when it was first read, as far as the records go back. */
  readonly firstRead: string;
}

export interface Trace extends Answer {
  /** Each version of a source that had the value, the one read last first. */
  readonly versions: readonly TracedVersion[];
  /** There are more versions than are followed. */
  readonly more: boolean;
}

/** Each is a question of its own for every page. A value that so many versions had is a blank or an example. */
const MOST_VERSIONS = 50;
const AT_ONCE = 500;

/**
 * Where a value has been. A reading says which version of a source had it, and a change what each key was given and
 * the versions that it was made of: so the answer is every record that has the fingerprint, and every one that names
 * such a version. Records of older releases say nothing of single keys: in them, a property of a larger value is found
 * by the fingerprint of the whole value alone.
 *
 * @param fingerprints Of the value, one for each key that fingerprints were made with.
 */
export async function trace(
  audit: Pick<AuditStore, 'list' | 'reviews'>,
  filter: Omit<RecordFilter, 'fingerprint'>,
  fingerprints: readonly string[],
  { limit, cursor }: Position,
): Promise<Trace> {
  const { versions, more } = await versionsOf(audit, filter, fingerprints);
  const before = cursor === undefined ? {} : { before: Number(cursor) };
  const questions: readonly RecordFilter[] = [
    ...fingerprints.map((fingerprint) => ({ ...filter, fingerprint })),
    ...versions.map(({ store, key, version }) => ({ ...filter, store, key, version })),
  ];
  const found = new Map<number, AuditRecord>();
  for (const question of questions)
    for (const record of await audit.list(question, { limit: limit + 1, ...before }))
      found.set(record.sequence, record);
  const newest = [...found.values()].sort((a, b) => b.sequence - a.sequence);
  return { ...(await pageOf(audit, newest, limit)), versions, more };
}

async function versionsOf(
  audit: Pick<AuditStore, 'list'>,
  { store, key }: RecordFilter,
  fingerprints: readonly string[],
): Promise<Pick<Trace, 'versions' | 'more'>> {
  const versions = new Map<string, TracedVersion>();
  const of = { ...(store === undefined ? {} : { store }), ...(key === undefined ? {} : { key }) };
  for (const fingerprint of fingerprints) {
    const reads = { ...of, fingerprint, action: 'read', outcome: 'ok' } as const;
    for await (const page of pagesOf(audit, reads, AT_ONCE)) {
      const found = page.flatMap(({ sources, time }) =>
        sources.map(({ property: _, ...version }) => ({ ...version, fingerprint, firstRead: time })),
      );
      for (const version of found) {
        const id = JSON.stringify([version.store, version.key, version.version]);
        if (versions.size === MOST_VERSIONS && !versions.has(id)) return ended(versions, true);
        // Newest first, and a Map keeps the place of what it has: the time becomes that of the first reading.
        versions.set(id, version);
      }
    }
  }
  return ended(versions, false);
}

function ended(versions: ReadonlyMap<string, TracedVersion>, more: boolean) {
  return { versions: [...versions.values()], more };
}
