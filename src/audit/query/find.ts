import type { AuditStore } from '../store.ts';

/** A name or a note that contains a text. */
export interface Finding {
  readonly kind: 'mapping' | 'secret' | 'store' | 'key' | 'actor' | 'note';
  readonly name: string;
  readonly namespace?: string;
  readonly secret?: string;
  readonly store?: string;
  /** For a note: the record that it is about. */
  readonly sequence?: number;
}

/** The names of the present configuration. */
export interface PresentNames {
  readonly mappings: readonly string[];
  readonly sources: readonly { readonly store: string; readonly key: string }[];
  readonly stores: readonly string[];
  readonly targets: readonly { readonly namespace: string; readonly secret: string }[];
}

const MAX_NOTE = 200;

/** Finds present and former names, and notes of people. Exact names come first, then names that begin with the text. */
export async function find(
  { summaries }: Pick<AuditStore, 'summaries'>,
  present: PresentNames,
  { text, limit }: { readonly text: string; readonly limit: number },
): Promise<readonly Finding[]> {
  const [former, notes] = await Promise.all([
    summaries.findNames(text, limit),
    summaries.findNotes(text, limit),
  ]);
  const lower = text.toLowerCase();
  const contains = (name: string): boolean => name.toLowerCase().includes(lower);
  const named = [
    ...present.mappings.map((name): Finding => ({ kind: 'mapping', name })),
    ...[...present.targets, ...former.targets].map(
      ({ namespace, secret }): Finding => ({ kind: 'secret', name: secret, namespace, secret }),
    ),
    ...present.stores.map((name): Finding => ({ kind: 'store', name, store: name })),
    ...[...present.sources, ...former.sources].map(
      ({ store, key }): Finding => ({ kind: 'key', name: key, store }),
    ),
    ...former.people.map((name): Finding => ({ kind: 'actor', name })),
  ].filter(({ name }) => contains(name));
  const unique = new Map(named.map((finding) => [JSON.stringify(finding), finding]));
  const sorted = [...unique.values()].sort((a, b) => rank(a.name, lower) - rank(b.name, lower));
  const found = notes.map(
    ({ about, note }): Finding => ({ kind: 'note', name: note.slice(0, MAX_NOTE), sequence: about }),
  );
  return share(sorted, found, limit);
}

function rank(name: string, text: string): number {
  const lower = name.toLowerCase();
  if (lower === text) return 0;
  return lower.startsWith(text) ? 1 : 2;
}

/** Leaves at least a quarter of the answer to notes. */
function share(names: readonly Finding[], notes: readonly Finding[], limit: number): readonly Finding[] {
  const forNotes = Math.min(notes.length, Math.max(Math.ceil(limit / 4), limit - names.length));
  return [...names.slice(0, limit - forNotes), ...notes.slice(0, forNotes)];
}
