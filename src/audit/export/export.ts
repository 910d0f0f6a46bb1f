import { setImmediate } from 'node:timers/promises';
import { type AppError, toAppError } from '../../core/errors.ts';
import { canonical, canonicalOrEmpty, fromStored, type Head, type StoredRecord } from '../chain.ts';
import { type Actor, type AuditRecord, type Entry, NO_KEYS } from '../entry.ts';
import { damagedRecord } from '../errors.ts';
import type { AuditStore, RecordFilter, Review } from '../store.ts';
import { csvHeader, csvLine } from './csv.ts';
import type { ExportFormat } from './formats.ts';
import { toOcsf } from './ocsf.ts';

export const MEDIA_TYPES: Readonly<Record<ExportFormat, string>> = {
  jsonl: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
  ocsf: 'application/x-ndjson; charset=utf-8',
};

type Source = Pick<AuditStore, 'list' | 'storedRecords' | 'head' | 'base' | 'reviews'>;

export interface ExportRequest {
  readonly format: ExportFormat;
  readonly filter: RecordFilter;
  /** The version of this program, which each OCSF event contains. */
  readonly version: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** The last record to export. Default: the newest one. */
  readonly until?: Head;
}

export interface Progress {
  /** The number of records exported so far. */
  readonly records: number;
  /** The sequence of the last exported record. `head` is the sequence of the last record to export. */
  readonly sequence: number;
  readonly head: number;
}

/**
 * The number of records in one page. Only one page is in memory, and the event loop can run other work between two
 * pages.
 */
const PAGE = 500;

/**
 * Exports the records that match a filter, oldest first, in chunks of many lines. The export ends with the record that
 * is the newest at the time of the call. Records that are appended after the call are not included.
 */
export async function* exportRecords(
  audit: Source,
  request: ExportRequest,
): AsyncGenerator<string, void, undefined> {
  const { format, filter, version, signal, onProgress } = request;
  const head = request.until ?? (await audit.head());
  if (format === 'csv') yield csvHeader();
  let records = 0;
  let lastReported = -1;
  const reportProgress = (sequence: number): void => {
    if (sequence === lastReported) return;
    lastReported = sequence;
    onProgress?.({ records, sequence, head: head.sequence });
  };
  for await (const page of pagesOf(audit, filter, head.sequence)) {
    signal?.throwIfAborted();
    const reviews = format === 'jsonl' ? new Map<number, Review>() : await reviewsOf(audit, page);
    yield page.map((stored) => line(format, stored, reviews, version)).join('');
    records += page.length;
    const last = page.at(-1);
    reportProgress((last && sequenceOf(last)) ?? head.sequence);
    await setImmediate();
  }
  reportProgress(head.sequence);
}

export interface ExportContext {
  readonly actor: Actor;
  readonly requestId: string;
  /** Returns the current time in milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * Exports records, and notes the export itself in the audit log. One record is appended before the first line is sent,
 * so that the log shows the export even if this process crashes. A second record, with the number of exported records,
 * is appended after the last line or when the receiver disconnects.
 */
export async function* recordedExport(
  audit: Source & Pick<AuditStore, 'append'>,
  request: ExportRequest,
  { actor, requestId, now }: ExportContext,
): AsyncGenerator<string, void, undefined> {
  const startedAt = now();
  // Read the head before the start of the export is recorded. Otherwise the export would contain its own record.
  const until = request.until ?? (await audit.head());
  const note = describe(request);
  const entry = (part: Pick<Entry, 'outcome' | 'note'> & Partial<Entry>): Entry => ({
    actor,
    requestId,
    action: 'export',
    sources: [],
    keys: NO_KEYS,
    durationMs: now() - startedAt,
    attempt: 1,
    ...part,
  });
  await audit.append([entry({ outcome: 'ok', note: `begins: ${note}` })]);
  let records = 0;
  let code: AppError['code'] | undefined = 'INTERRUPTED';
  try {
    yield* exportRecords(audit, {
      ...request,
      until,
      onProgress(progress) {
        ({ records } = progress);
        request.onProgress?.(progress);
      },
    });
    code = undefined;
  } catch (thrown) {
    ({ code } = toAppError(thrown));
    throw thrown;
  } finally {
    const end = code === undefined ? ({ outcome: 'ok' } as const) : ({ outcome: 'failed', code } as const);
    await audit.append([entry({ ...end, note, counts: { records } })]);
  }
}

/**
 * Describes the requested format and filter, for the note of a record. The text contains no secret value, and has a
 * limited length.
 */
function describe({ format, filter }: ExportRequest): string {
  const filters = Object.entries(filter).map(([name, value]) => `${name}=${value}`);
  return [format, ...filters].join(' ').slice(0, 1_000);
}

/**
 * Without a filter, yields the stored texts, so a verification of the export proves as much as a verification of the
 * store. With a filter, yields the records that the search finds.
 */
async function* pagesOf(
  audit: Source,
  filter: RecordFilter,
  head: number,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  if (Object.keys(filter).length === 0)
    yield* paginate(audit.storedRecords((await audit.base()).sequence + 1), head);
  else
    for (let after = 0; ; ) {
      const found = await audit.list(filter, { limit: PAGE, after });
      const page = found.filter(({ sequence }) => sequence <= head);
      if (page.length > 0)
        yield page.map(({ hash, ...rest }) => ({ text: canonical(rest), hash, columnsMatch: true }));
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.sequence;
    }
}

async function* paginate(
  all: AsyncIterable<StoredRecord>,
  head: number,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  let page: StoredRecord[] = [];
  for await (const stored of all) {
    if ((sequenceOf(stored) ?? 0) > head) break;
    page.push(stored);
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

function sequenceOf({ text, hash }: StoredRecord): number | undefined {
  const sequence: unknown = fromStored(text, hash)?.sequence;
  return typeof sequence === 'number' ? sequence : undefined;
}

async function reviewsOf(audit: Source, page: readonly StoredRecord[]): Promise<ReadonlyMap<number, Review>> {
  return audit.reviews(page.map(sequenceOf).filter((sequence) => sequence !== undefined));
}

function line(
  format: ExportFormat,
  stored: StoredRecord,
  reviews: ReadonlyMap<number, Review>,
  version: string,
): string {
  if (format === 'jsonl') return jsonLine(stored);
  const record: AuditRecord | undefined = fromStored(stored.text, stored.hash);
  if (record === undefined) throw damagedRecord();
  const review = reviews.get(record.sequence);
  return format === 'csv' ? csvLine(record, review) : `${JSON.stringify(toOcsf(record, review, version))}\n`;
}

/** Formats a parsed record as a line of an export, without the line break. */
export function recordLine({ hash, ...rest }: AuditRecord): string {
  return jsonLine({ text: canonical(rest), hash, columnsMatch: true }).trimEnd();
}

/**
 * Formats a stored record as a line: the canonical text with the hash as its last member. If the text is not a JSON
 * object on a single line, it is damaged, and becomes the member `damaged` of an object. Verification then reports the
 * record as edited.
 */
export function jsonLine({ text, hash }: StoredRecord): string {
  const isLine = fromStored(text, hash) !== undefined && text.endsWith('}') && !/[\r\n]/.test(text);
  return isLine && text.length > 2
    ? `${text.slice(0, -1)},"hash":${JSON.stringify(hash)}}\n`
    : `${canonicalOrEmpty({ damaged: text, hash })}\n`;
}
