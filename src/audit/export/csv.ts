import type { AuditRecord } from '../entry.ts';
import type { Review } from '../store.ts';

type Cell = string | number | undefined;

/** Other programs rely on the order of the columns. Add new columns only at the end, and never move or rename one. */
const COLUMNS: readonly (readonly [name: string, of: (record: AuditRecord, review?: Review) => Cell])[] = [
  ['sequence', ({ sequence }) => sequence],
  ['time', ({ time }) => time],
  ['action', ({ action }) => action],
  ['phase', ({ phase }) => phase],
  ['outcome', ({ outcome }) => outcome],
  ['code', ({ code }) => code],
  ['mapping', ({ mapping }) => mapping],
  ['namespace', ({ namespace }) => namespace],
  ['secret', ({ secret }) => secret],
  ['store', ({ store }) => store],
  ['key', ({ key }) => key],
  ['actorKind', ({ actor }) => actor.kind],
  ['actorName', ({ actor }) => actor.name],
  ['actorAddress', ({ actor }) => actor.address],
  ['note', ({ note }) => note],
  ['keysAdded', ({ keys }) => keys.added.join(' ')],
  ['keysChanged', ({ keys }) => keys.changed.join(' ')],
  ['keysRemoved', ({ keys }) => keys.removed.join(' ')],
  ['sources', ({ sources }) => (sources.length === 0 ? '' : JSON.stringify(sources))],
  ['counts', ({ counts }) => (counts === undefined ? '' : JSON.stringify(counts))],
  ['before', ({ before }) => before],
  ['after', ({ after }) => after],
  ['resourceVersion', ({ resourceVersion }) => resourceVersion],
  ['requestId', ({ requestId }) => requestId],
  ['attempt', ({ attempt }) => attempt],
  ['durationMs', ({ durationMs }) => durationMs],
  ['instance', ({ instance }) => instance],
  ['replica', ({ replica }) => replica],
  ['previousHash', ({ previousHash }) => previousHash],
  ['hash', ({ hash }) => hash],
  ['reviewOf', ({ review }) => review?.sequence],
  ['reviewOfState', ({ review }) => review?.state],
  ['reviewState', ({ action }, review) => (action === 'review' ? '' : (review?.state ?? 'unreviewed'))],
  ['reviewBy', (_, review) => review?.by],
  ['reviewTime', (_, review) => review?.time],
  ['reviewNote', (_, review) => review?.note],
  ['values', ({ values }) => (values === undefined ? '' : JSON.stringify(values))],
  ['count', ({ count }) => count],
  ['since', ({ since }) => since],
  ['changes', ({ changes }) => (changes === undefined ? '' : JSON.stringify(changes))],
  ['configHash', ({ configHash }) => configHash],
  ['revision', ({ revision }) => revision],
  ['actorSubject', ({ actor }) => actor.subject],
  ['requested', ({ requested }) => (requested === undefined ? '' : JSON.stringify(requested))],
  ['approval', ({ approval }) => approval],
  ['reviewOfFollowUp', ({ review }) => review?.followUp],
];

export function csvHeader(): string {
  return row(COLUMNS.map(([name]) => name));
}

export function csvLine(record: AuditRecord, review?: Review): string {
  return row(COLUMNS.map(([, of]) => of(record, review)));
}

/** Formats a row according to RFC 4180, with its line break. */
function row(cells: readonly Cell[]): string {
  return `${cells.map(cell).join(',')}\r\n`;
}

/**
 * Formats a CSV cell. Names and notes come from people, and a spreadsheet would run a text that looks like a formula.
 * So a leading apostrophe marks such a text. Our numbers never look like formulas. Cells with a semicolon or a tab are
 * quoted, because these separate cells in some locales, and a formula could start after them.
 */
export function cell(value: Cell): string {
  if (typeof value === 'number') return String(value);
  const text = value ?? '';
  const safe = /^[=+\-@\t\r\n\uff0b\uff0d\uff1d\uff20]/.test(text) ? `'${text}` : text;
  return /[",;\t\r\n]|^\s|\s$/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
