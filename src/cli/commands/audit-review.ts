import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { openAudit } from '../../app/audit.ts';
import { openKeys } from '../../app/keys.ts';
import { type ReviewedRecord, withReviews } from '../../audit/query/query.ts';
import {
  MAX_NOTE_LENGTH,
  NEW_REVIEW_STATES,
  type NewReviewState,
  recordReview,
} from '../../audit/query/review.ts';
import type { Config } from '../../config/config.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { auditCredentials } from '../audit-reader.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { choiceOption, command, type Run, withServer } from '../options.ts';
import { namedAddress, type ServerAddress, type ServerOptions } from '../service/server-address.ts';
import { painter, print, printNotice } from '../texts/output.ts';
import { appDeps, requireConfig } from '../with-app.ts';

export function addReview(audit: Command, context: Context, run: Run): void {
  const review = command(audit, 'review', 'Mark records as reviewed or flagged. Your name is recorded.', {
    examples: [
      'secretbridge audit review 42 --state reviewed',
      "secretbridge audit review 40-45 47 --state flagged --note 'not announced: ask the payments team'",
    ],
    see: ['audit list', 'docs/how-to/review-the-audit.md'],
  })
    .argument('<sequence...>', 'record numbers, or ranges such as 40-45')
    .addOption(choiceOption('--state <state>', 'new review state', NEW_REVIEW_STATES).makeOptionMandatory())
    .option('--note <text>', 'what you found; do not include values');
  withServer(
    review,
    'send the request to the service at this address (default: the service at `http.listen` if it runs, else this process)',
  ).action((sequences: readonly string[], options) =>
    run(async () => auditReviewCommand(context, sequences, options)),
  );
}

export interface ReviewOptions extends GlobalOptions, ServerOptions {
  readonly state: NewReviewState;
  readonly note?: string;
}

/**
 * Records reviews, either through a service or in this process. A service records the owner of the token as the
 * reviewer. This process records its user as the reviewer.
 */
interface Reviewer extends AsyncDisposable {
  /** @throws AppError RECORD_MISSING */
  isReview(sequence: number): Promise<boolean>;
  review(sequence: number): Promise<ReviewedRecord>;
  /** Writes a checkpoint that covers the new reviews. @throws AppError */
  writeCheckpoint(): Promise<void>;
}

export async function auditReviewCommand(
  context: Context,
  selections: readonly string[],
  options: ReviewOptions,
): Promise<number> {
  const ranges = selections.map(rangeOf);
  if ((options.note?.trim().length ?? 0) > MAX_NOTE_LENGTH)
    throw new UsageError(`--note can have at most ${MAX_NOTE_LENGTH} characters`);
  const reviewer = await openReviewer(context, options);
  if (reviewer === undefined) return EXIT.config;
  await using open = reviewer;
  const records: ReviewedRecord[] = [];
  for (const sequence of await sequencesIn(ranges, open)) records.push(await open.review(sequence));
  if (records.length > 0) await writeCheckpointOrWarn(open, context);
  print(context, options.output, {
    data: { records },
    human: () =>
      records.length === 0
        ? 'Nothing to review.'
        : `${rangesText(records.map(({ sequence }) => sequence))} ${options.state}.`,
  });
  return EXIT.ok;
}

/**
 * Looks up all records before the first review is written, so that a missing record stops the command before anything
 * changes.
 */
async function sequencesIn(ranges: readonly Range[], reviewer: Reviewer): Promise<readonly number[]> {
  const [{ first, last } = { first: 0, last: 0 }] = ranges;
  if (ranges.length === 1 && first === last) return [first];
  const sequences: number[] = [];
  for (const range of ranges)
    for (let sequence = range.first; sequence <= range.last; sequence += 1) {
      const isReview = await reviewer.isReview(sequence);
      // Inside a range, skip records that are reviews themselves, because a review needs no review.
      if (!isReview || range.first === range.last) sequences.push(sequence);
    }
  return sequences;
}

/** Joins neighboring numbers: `Records 1-7, 9 are now`. */
function rangesText(sequences: readonly number[]): string {
  const sorted = [...new Set(sequences)].toSorted((a, b) => a - b);
  const ranges: { first: number; last: number }[] = [];
  for (const sequence of sorted) {
    const open = ranges.at(-1);
    if (open !== undefined && sequence === open.last + 1) open.last = sequence;
    else ranges.push({ first: sequence, last: sequence });
  }
  const texts = ranges.map(({ first, last }) => (first === last ? String(first) : `${first}-${last}`));
  return sorted.length === 1 ? `Record ${texts[0]} is now` : `Records ${texts.join(', ')} are now`;
}

async function writeCheckpointOrWarn(reviewer: Reviewer, context: Context): Promise<void> {
  try {
    await reviewer.writeCheckpoint();
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    const paint = painter(context.color);
    printNotice(
      context,
      `${paint('yellow', 'warning')} ${code}: ${message}; the review is recorded, and the next checkpoint will cover it`,
    );
  }
}

const MAX_RANGE = 1_000;

interface Range {
  readonly first: number;
  readonly last: number;
}

function rangeOf(text: string): Range {
  const [, from = '', to = from] = /^([1-9]\d{0,14})(?:-([1-9]\d{0,14}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || last < first)
    throw new UsageError(`${JSON.stringify(text)} is not a record: use a number, or a range such as 40-45`);
  if (last - first >= MAX_RANGE) throw new UsageError(`a range can have at most ${MAX_RANGE} records`);
  return { first, last };
}

async function openReviewer(context: Context, options: ReviewOptions): Promise<Reviewer | undefined> {
  if (options.server !== undefined)
    return serviceReviewer(namedAddress(options.server, options.allowHttp), context, options);
  const config = await requireConfig(context, options);
  if (config === undefined) return undefined;
  const { answeringAddress } = await import('../service/client.ts');
  const address = await answeringAddress(config, options.allowHttp, context);
  return address === undefined
    ? localReviewer(config, context, options)
    : serviceReviewer(address, context, options);
}

async function serviceReviewer(
  address: ServerAddress,
  context: Context,
  { state, note }: ReviewOptions,
): Promise<Reviewer> {
  const { createClient } = await import('../service/client.ts');
  const { AuditRecordAnswer } = await import('../service/answers.ts');
  const client = createClient(address, context);
  const path = (sequence: number): string => `/api/v1/audit/records/${sequence}`;
  return {
    isReview: async (sequence) => (await client.get(path(sequence), AuditRecordAnswer)).action === 'review',
    async review(sequence) {
      const body = { state, ...(note === undefined ? {} : { note }) };
      // Unknown fields from a newer version of the service are printed unchanged.
      return (await client.post(
        `${path(sequence)}/review`,
        AuditRecordAnswer,
        body,
      )) as unknown as ReviewedRecord;
    },
    // The service writes its checkpoints itself.
    writeCheckpoint: async () => undefined,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function localReviewer(config: Config, context: Context, options: ReviewOptions): Promise<Reviewer> {
  const deps = appDeps(context, options, config);
  const { replica, actor, clock } = deps;
  const credential = auditCredentials(context, config);
  const { checkpointAudit } = await import('../../app/checkpoints.ts');
  const mayCreate = config.audit.store.kind === 'sqlite';
  const { records: keys } = await openKeys(config.keys.fingerprint, { mayCreate, credential });
  const audit = await openAudit(config, { clock, replica, credential, keys });
  const { state, note } = options;
  const requestId = randomUUID();
  const find = async (sequence: number) => {
    const record = await audit.get(sequence);
    if (record === undefined) throw new AppError('RECORD_MISSING', { subject: `record ${sequence}` });
    return record;
  };
  return {
    isReview: async (sequence) => (await find(sequence)).action === 'review',
    async review(sequence) {
      await recordReview(audit, {
        sequence,
        state,
        actor,
        requestId,
        ...(note === undefined ? {} : { note }),
      });
      const record = await find(sequence);
      const [shown = record] = await withReviews(audit, [record]);
      return shown;
    },
    writeCheckpoint: () => checkpointAudit(config, { ...deps, stop: context.signal, audit, credential }),
    [Symbol.asyncDispose]: () => audit[Symbol.asyncDispose](),
  };
}
