import { setImmediate } from 'node:timers/promises';
import { type AppError, toAppError } from '../../core/errors.ts';
import { canonical } from '../canonical.ts';
import { canonicalOrNothing, fromStored, type Head, type StoredRecord } from '../chain.ts';
import { type Actor, type AuditRecord, type Entry, NO_KEYS } from '../entry.ts';
import { damagedRecord } from '../failures.ts';
import type { AuditStore, RecordFilter, Review } from '../store.ts';
import { csvHeader, csvLine } from './csv.ts';
import type { ExportFormat } from './formats.ts';
import { toOcsf } from './ocsf.ts';

export const MEDIA_TYPES: Readonly<Record<ExportFormat, string>> = {
  jsonl: 'application/x-ndjson; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
  ocsf: 'application/x-ndjson; charset=utf-8',
};

type Source = Pick<AuditStore, 'list' | 'stored' | 'head' | 'base' | 'reviews'>;

export interface ExportWish {
  readonly format: ExportFormat;
  readonly filter: RecordFilter;
  /** Of this program, for the receiver. */
  readonly version: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
  /** Where it ends; the newest record when left out. */
  readonly until?: Head;
}

export interface Progress {
  /** Records that were given out. */
  readonly records: number;
  /** How far it is: the sequence of the last one, of the newest when the export began. */
  readonly sequence: number;
  readonly head: number;
}

/** What is held at a time, in records; between two pages everything else gets its turn. */
const PAGE = 500;

/**
 * What fits a filter, oldest first, as text in pieces of many lines. It ends at the record that was the newest when
 * it began, so it ends however much is recorded meanwhile.
 */
export async function* exportRecords(
  audit: Source,
  wish: ExportWish,
): AsyncGenerator<string, void, undefined> {
  const { format, filter, version, signal, onProgress } = wish;
  const head = wish.until ?? (await audit.head());
  if (format === 'csv') yield csvHeader();
  let records = 0;
  let reached = -1;
  const told = (sequence: number): void => {
    if (sequence === reached) return;
    reached = sequence;
    onProgress?.({ records, sequence, head: head.sequence });
  };
  for await (const page of pagesOf(audit, filter, head.sequence)) {
    signal?.throwIfAborted();
    const reviews = format === 'jsonl' ? new Map<number, Review>() : await reviewsOf(audit, page);
    yield page.map((stored) => line(format, stored, reviews, version)).join('');
    records += page.length;
    const last = page.at(-1);
    told((last && sequenceOf(last)) ?? head.sequence);
    await setImmediate();
  }
  told(head.sequence);
}

export interface ExportedBy {
  readonly actor: Actor;
  readonly requestId: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/**
 * The same, on record: that it begins before the first line is given out, and how many lines it was before the last
 * piece ends. So nothing leaves unnoticed, also when the receiver goes away or we do.
 */
export async function* recordedExport(
  audit: Source & Pick<AuditStore, 'append'>,
  wish: ExportWish,
  { actor, requestId, now }: ExportedBy,
): AsyncGenerator<string, void, undefined> {
  const startedAt = now();
  // Of what was there before: the record of the export is not a part of it.
  const until = wish.until ?? (await audit.head());
  const note = describe(wish);
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
      ...wish,
      until,
      onProgress(progress) {
        ({ records } = progress);
        wish.onProgress?.(progress);
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

/** What was asked for; names only, and bounded. */
function describe({ format, filter }: ExportWish): string {
  const filters = Object.entries(filter).map(([name, value]) => `${name}=${value}`);
  return [format, ...filters].join(' ').slice(0, 1_000);
}

/** Everything is taken as it is stored, so that it proves as much elsewhere; a part is what the store finds. */
async function* pagesOf(
  audit: Source,
  filter: RecordFilter,
  head: number,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  if (Object.keys(filter).length === 0) yield* inPages(audit.stored((await audit.base()).sequence + 1), head);
  else
    for (let after = 0; ; ) {
      const found = await audit.list(filter, { limit: PAGE, after });
      const page = found.filter(({ sequence }) => sequence <= head);
      if (page.length > 0)
        yield page.map(({ hash, ...rest }) => ({ text: canonical(rest), hash, indexed: true }));
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.sequence;
    }
}

async function* inPages(
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

/** A record that we wrote ourselves, as the line that an export would have: without its end. */
export function recordLine({ hash, ...rest }: AuditRecord): string {
  return jsonLine({ text: canonical(rest), hash, indexed: true }).trimEnd();
}

/**
 * A record as a line: its canonical text as it is stored, with the hash as the last member. A text that is damaged
 * so that no line holds it comes as a member of its own, and is found as edited like any other.
 */
export function jsonLine({ text, hash }: StoredRecord): string {
  const isLine = fromStored(text, hash) !== undefined && text.endsWith('}') && !/[\r\n]/.test(text);
  return isLine && text.length > 2
    ? `${text.slice(0, -1)},"hash":${JSON.stringify(hash)}}\n`
    : `${canonicalOrNothing({ damaged: text, hash })}\n`;
}
