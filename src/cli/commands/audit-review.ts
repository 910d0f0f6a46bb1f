import { randomUUID } from 'node:crypto';
import { openAudit } from '../../app/audit.ts';
import { type ShownRecord, withReviews } from '../../audit/question.ts';
import { LONGEST_NOTE, type ReviewWord, review } from '../../audit/review.ts';
import type { Config } from '../../config/config.ts';
import { AppError } from '../../core/errors.ts';
import { AuditRecordAnswer } from '../answers.ts';
import { answeringAddress, createClient } from '../client.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { print } from '../output.ts';
import { auditCredentials } from '../read-audit.ts';
import { requireConfig } from '../require-config.ts';
import { namedAddress, type ServerAddress, type ServerOptions } from '../server-address.ts';
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
  for (const { first, last } of ranges)
    for (let sequence = first; sequence <= last; sequence += 1) {
      // In between there may be reviews, which need none.
      if (first < last && (await open.isReview(sequence))) continue;
      records.push(await open.review(sequence));
    }
  print(context, options.output, {
    data: { records },
    human: () =>
      records.map(({ sequence }) => `Record ${sequence} is now ${options.state}.`).join('\n') ||
      'Nothing to review.',
  });
  return EXIT.ok;
}

const MOST = 1_000;

function rangeOf(text: string): { readonly first: number; readonly last: number } {
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
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

async function here(config: Config, context: Context, options: ReviewOptions): Promise<Desk> {
  const { replica, actor, clock } = appDeps(context, options, config);
  const audit = await openAudit(config, { clock, replica, credential: auditCredentials(context, config) });
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
    [Symbol.asyncDispose]: () => audit[Symbol.asyncDispose](),
  };
}
