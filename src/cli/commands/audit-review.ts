import { randomUUID } from 'node:crypto';
import { openAudit } from '../../app/audit.ts';
import { sealAudit } from '../../app/checkpoints.ts';
import { type ShownRecord, withReviews } from '../../audit/question/question.ts';
import { LONGEST_NOTE, type ReviewWord, review } from '../../audit/question/review.ts';
import type { Config } from '../../config/config.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { auditCredentials } from '../read-audit.ts';
import { requireConfig } from '../require-config.ts';
import { AuditRecordAnswer } from '../service/answers.ts';
import { answeringAddress, createClient } from '../service/client.ts';
import { namedAddress, type ServerAddress, type ServerOptions } from '../service/server-address.ts';
import { painter, print, tell } from '../texts/output.ts';
import { UsageError } from '../usage-error.ts';
import { appDeps } from '../with-app.ts';

export interface ReviewOptions extends GlobalOptions, ServerOptions {
  readonly state: ReviewWord;
  readonly note?: string;
}

/** Who says it: the service, whose audit names the holder of the token; or this program, for whoever runs it. */
interface Desk extends AsyncDisposable {
  /** @throws AppError RECORD_MISSING */
  isReview(sequence: number): Promise<boolean>;
  review(sequence: number): Promise<ShownRecord>;
  /** Writes a checkpoint of it all. @throws AppError */
  seal(): Promise<void>;
}

export async function auditReviewCommand(
  context: Context,
  wanted: readonly string[],
  options: ReviewOptions,
): Promise<number> {
  const ranges = wanted.map(rangeOf);
  if ((options.note?.trim().length ?? 0) > LONGEST_NOTE)
    throw new UsageError(`--note has at most ${LONGEST_NOTE} characters`);
  const desk = await openDesk(context, options);
  if (desk === undefined) return EXIT.config;
  await using open = desk;
  const records: ShownRecord[] = [];
  for (const sequence of await sequencesIn(ranges, open)) records.push(await open.review(sequence));
  if (records.length > 0) await sealed(open, context);
  print(context, options.output, {
    data: { records },
    human: () =>
      records.map(({ sequence }) => `Record ${sequence} is now ${options.state}.`).join('\n') ||
      'Nothing to review.',
  });
  return EXIT.ok;
}

/** Of several, all are looked up before the first is reviewed, which is on record then whatever the next one is. */
async function sequencesIn(ranges: readonly Range[], desk: Desk): Promise<readonly number[]> {
  const [{ first, last } = { first: 0, last: 0 }] = ranges;
  if (ranges.length === 1 && first === last) return [first];
  const sequences: number[] = [];
  for (const range of ranges)
    for (let sequence = range.first; sequence <= range.last; sequence += 1) {
      const isReview = await desk.isReview(sequence);
      // In between there may be reviews, which need none.
      if (!isReview || range.first === range.last) sequences.push(sequence);
    }
  return sequences;
}

async function sealed(desk: Desk, context: Context): Promise<void> {
  try {
    await desk.seal();
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    const paint = painter(context.color);
    tell(
      context,
      `${paint('yellow', 'warning')} ${code}: ${message}; no checkpoint is of the review yet, the next one will be`,
    );
  }
}

const MOST = 1_000;

interface Range {
  readonly first: number;
  readonly last: number;
}

function rangeOf(text: string): Range {
  const [, from = '', to = from] = /^([1-9]\d{0,14})(?:-([1-9]\d{0,14}))?$/.exec(text) ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (from === '' || last < first)
    throw new UsageError(`${JSON.stringify(text)} is no record: write its number, or a range such as 40-45`);
  if (last - first >= MOST) throw new UsageError(`a range has at most ${MOST} records`);
  return { first, last };
}

async function openDesk(context: Context, options: ReviewOptions): Promise<Desk | undefined> {
  if (options.server !== undefined)
    return atService(namedAddress(options.server, options.allowHttp), context, options);
  const config = await requireConfig(context, options);
  if (config === undefined) return undefined;
  const address = await answeringAddress(config, options.allowHttp, context);
  return address === undefined ? here(config, context, options) : atService(address, context, options);
}

function atService(address: ServerAddress, context: Context, { state, note }: ReviewOptions): Desk {
  const client = createClient(address, context);
  const path = (sequence: number): string => `/api/v1/audit/records/${sequence}`;
  return {
    isReview: async (sequence) => (await client.get(path(sequence), AuditRecordAnswer)).action === 'review',
    async review(sequence) {
      const body = { state, ...(note === undefined ? {} : { note }) };
      // What else a newer service says of a record is printed as it came.
      return (await client.post(
        `${path(sequence)}/review`,
        AuditRecordAnswer,
        body,
      )) as unknown as ShownRecord;
    },
    // A service does so by itself.
    seal: async () => undefined,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function here(config: Config, context: Context, options: ReviewOptions): Promise<Desk> {
  const deps = appDeps(context, options, config);
  const { replica, actor, clock } = deps;
  const credential = auditCredentials(context, config);
  const audit = await openAudit(config, { clock, replica, credential });
  const { state, note } = options;
  const requestId = randomUUID();
  const find = async (sequence: number) => {
    const record = await audit.get(sequence);
    if (record === undefined) throw new AppError('RECORD_MISSING', { about: `record ${sequence}` });
    return record;
  };
  return {
    isReview: async (sequence) => (await find(sequence)).action === 'review',
    async review(sequence) {
      await review(audit, { sequence, state, actor, requestId, ...(note === undefined ? {} : { note }) });
      const record = await find(sequence);
      const [shown = record] = await withReviews(audit, [record]);
      return shown;
    },
    seal: () => sealAudit(config, { ...deps, audit, credential }),
    [Symbol.asyncDispose]: () => audit[Symbol.asyncDispose](),
  };
}
