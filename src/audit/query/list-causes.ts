import type { AuditRecord } from '../entry.ts';
import { matches } from '../matches.ts';
import type { AuditStore, RecordFilter, Review } from '../store.ts';
import { changesFor, type LinkedAudit, membersAmong } from './change-links.ts';
import type { Change } from './change-types.ts';
import { changeOf, NO_SURROUNDINGS } from './changes.ts';
import type { PageRequest } from './query.ts';
import { groupByCause, type HeldChange, type ReviewCause } from './review-queue.ts';

export interface ReviewQueue {
  readonly causes: readonly ReviewCause[];
  readonly next?: string;
  /** Whether there are older records that were not read. */
  readonly more: boolean;
}

/** The number of records that the queue reads at most. */
const MAX_READ = 2_000;
const MAX_FLAGGED = 500;
const MAX_REQUESTS = 100;

export interface QueueOptions extends PageRequest {
  readonly now: number;
  readonly held: readonly HeldChange[];
  /** The sequences of the requests that wait for approval. */
  readonly requests: readonly number[];
}

/** Returns what a person should look at, grouped by cause. A flagged record stays in the queue until it is reviewed. */
export async function listCauses(
  audit: LinkedAudit & Pick<AuditStore, 'get'>,
  filter: RecordFilter,
  { limit, cursor, now, held, requests }: QueueOptions,
): Promise<ReviewQueue> {
  const [open, flagged, pending] = await Promise.all([
    read(audit, { ...filter, attention: true, review: 'unreviewed' }, MAX_READ),
    read(audit, { ...filter, review: 'flagged' }, MAX_FLAGGED),
    Promise.all(requests.slice(0, MAX_REQUESTS).map((sequence) => audit.get(sequence))),
  ]);
  const pendingRecords = pending.flatMap((record) => (record && matches(record, filter) ? [record] : []));
  const today = new Date(now).toISOString().slice(0, 10);
  const waiting = pendingRecords.map((record) => changeOf(record, NO_SURROUNDINGS));
  const unique = new Map(
    [...open.changes, ...flagged.changes, ...waiting].map((change) => [change.sequence, change]),
  );
  const changes = [...unique.values()].sort((a, b) => b.sequence - a.sequence);
  const all = groupByCause(changes, { today, held });
  const start = cursor === undefined ? 0 : all.findIndex(({ id }) => id === cursor) + 1;
  const page = all.slice(start, start + limit);
  const next = start + limit < all.length ? page.at(-1)?.id : undefined;
  const isCut = open.isCut || flagged.isCut;
  const causes = await withExamples(audit, page, [...open.records, ...flagged.records, ...pendingRecords]);
  return { causes, ...(next === undefined ? {} : { next }), more: isCut };
}

interface Found {
  /** The changes, without the records around them. */
  readonly changes: readonly Change[];
  readonly records: readonly AuditRecord[];
  readonly isCut: boolean;
}

async function read(audit: LinkedAudit, filter: RecordFilter, limit: number): Promise<Found> {
  const all = await audit.list(filter, { limit });
  const members = await membersAmong(audit.index, all, filter);
  const records = all.filter(({ sequence }) => !members.has(sequence));
  const reviews =
    filter.review === 'unreviewed'
      ? new Map<number, Review>()
      : await audit.reviews(records.map(({ sequence }) => sequence));
  const changes = records.map((record) =>
    changeOf(record, { ...NO_SURROUNDINGS, review: reviews.get(record.sequence) }),
  );
  return { changes, records, isCut: all.length === limit };
}

/** Completes the example of each cause. */
async function withExamples(
  audit: LinkedAudit,
  causes: readonly ReviewCause[],
  records: readonly AuditRecord[],
): Promise<readonly ReviewCause[]> {
  const sequences = new Set(causes.map(({ example }) => example.sequence));
  const complete = await changesFor(
    audit,
    records.filter(({ sequence }) => sequences.has(sequence)),
  );
  const bySequence = new Map(complete.map((change) => [change.sequence, change]));
  return causes.map((cause) => ({
    ...cause,
    example: bySequence.get(cause.example.sequence) ?? cause.example,
  }));
}
