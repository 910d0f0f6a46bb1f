import type { AuditRecord } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { StampedVersion } from '../core/reading.ts';

/** Ties a reading to the store as it was defined then, and to what lists of that store show of it. */
export function stampNote(definition: string, stamp: string): string {
  return `${beginning(definition)}${stamp}`;
}

/** Of a key that is read by named versions as well, or by installations that share the audit. */
const FURTHER = 10;

/**
 * The last version of a key that is on record with its stamp, whichever process read it. A stamp proves itself: what
 * lists show is another one as soon as there is another version. So readings without one, or from another store of
 * the same name, are passed over. Undefined where the last reading failed: its end is then seen by reading.
 */
export async function recallVersion(
  audit: Pick<AuditStore, 'latest' | 'list'>,
  source: { readonly store: string; readonly key: string },
  definition: string | undefined,
): Promise<StampedVersion | undefined> {
  if (definition === undefined) return undefined;
  const last = await audit.latest(source, ['read']);
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
  const begins = beginning(definition);
  if (version === undefined || !note?.startsWith(begins)) return undefined;
  return { version, stamp: note.slice(begins.length) };
}

function beginning(definition: string): string {
  return `definition ${definition} stamp `;
}
