import type { AuditStore } from '../audit/store.ts';
import type { Sighting } from '../core/reading.ts';

/** What ties a reading to the store as it was defined then, and to what lists of that store show of it. */
export function sightingNote(definition: string | undefined, stamp: string): string {
  return `${beginning(definition)}${stamp}`;
}

/**
 * The current version of a key as it was last read, by whichever process. Undefined where that was no success, under
 * another definition of its store, or too early to be told from a later change.
 */
export async function recallSighting(
  audit: Pick<AuditStore, 'latest'>,
  source: { readonly store: string; readonly key: string },
  definition: string | undefined,
): Promise<Sighting | undefined> {
  const last = await audit.latest(source, ['read']);
  const version = last?.sources[0]?.version;
  const begins = beginning(definition);
  if (last?.outcome !== 'ok' || version === undefined || !last.note?.startsWith(begins)) return undefined;
  return { version, stamp: last.note.slice(begins.length) };
}

function beginning(definition: string | undefined): string {
  return `definition ${definition ?? 'unknown'} stamp `;
}
