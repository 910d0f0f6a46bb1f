import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Hint } from '../../src/events/hint.ts';
import { startSqsIntake } from '../../src/events/sqs.ts';
import type { MessageQueue, QueueMessage } from '../../src/providers/message-queue.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { waitUntil } from '../wait-until.ts';
import { arnOf, labelUpdated, REGION } from './aws-events.ts';

type Answer = readonly QueueMessage[] | AppError;

/** Opens an SQS event source whose queue gives scripted responses. */
function open(answers: readonly Answer[], { failOpen = 0, failRemove = 0, failEach = 0 } = {}) {
  const time = createManualTime();
  const remaining = [...answers];
  const seen = {
    hints: [] as Hint[],
    takes: 0,
    removed: [] as string[],
    outcomes: [] as string[],
    progress: [] as (string | undefined)[],
    lines: [] as string[],
    opened: 0,
    closed: 0,
    receives: 0,
    time,
  };
  const queue: MessageQueue = {
    async receive(signal) {
      seen.receives += 1;
      const answer = remaining.shift();
      if (answer instanceof AppError) throw answer;
      if (answer !== undefined) return answer;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    async remove(receipts) {
      if (failRemove > 0) {
        failRemove -= 1;
        throw new AppError('STORE_UNAVAILABLE');
      }
      seen.removed.push(...receipts.slice(failEach));
      return Math.min(failEach, receipts.length);
    },
    check: async () => undefined,
    async [Symbol.asyncDispose]() {
      seen.closed += 1;
    },
  };
  const logger: Logger = { ...silentLogger, warn: (message) => void seen.lines.push(message) };
  const intake = startSqsIntake(
    {
      name: 'eu',
      store: 'aws',
      events: { kind: 'aws-secrets-manager', region: REGION },
      logger,
      random: () => 0.999,
      async open() {
        seen.opened += 1;
        if (seen.opened <= failOpen) throw new AppError('CREDENTIAL_MISSING');
        return queue;
      },
      async pause(ms, signal) {
        if (signal.aborted) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        const cancel = time.wake(resolve, ms);
        signal.addEventListener('abort', () => resolve());
        await promise;
        cancel();
      },
    },
    {
      submit(hints, origin) {
        seen.takes += 1;
        seen.hints.push(...hints);
        expect(origin).toEqual({ kind: 'sqs', name: 'eu' });
        return { targets: hints.length, unknown: 0 };
      },
      onSkipped: (outcome) => void seen.outcomes.push(outcome),
      onProgress: (error) => void seen.progress.push(error?.code),
    },
  );
  return { seen, intake, [Symbol.asyncDispose]: () => intake[Symbol.asyncDispose]() };
}

const message = (body: unknown, receipt: string, received = 1): QueueMessage => ({
  body: typeof body === 'string' ? body : JSON.stringify(body),
  receipt,
  received,
});

describe('the SQS event source', () => {
  it('the SQS event source submits a batch of events before it removes the messages from the queue', async () => {
    await using test = open([[message(labelUpdated('a'), 'r1'), message(labelUpdated('b'), 'r2')], []]);
    await waitUntil(() => expect(test.seen.receives).toBe(3));
    expect(test.seen.hints).toEqual([
      { store: 'aws', keys: [arnOf('a'), 'a'] },
      { store: 'aws', keys: [arnOf('b'), 'b'] },
    ]);
    expect(test.seen.takes).toBe(1);
    expect(test.seen.removed).toEqual(['r1', 'r2']);
    expect(test.seen.progress).toEqual([undefined, undefined]);
  });

  it("the SQS event source leaves malformed messages in the queue for the queue's redrive policy", async () => {
    await using test = open([[message('hello', 'bad'), message(labelUpdated('a'), 'good')]]);
    await waitUntil(() => expect(test.seen.receives).toBe(2));
    expect(test.seen.removed).toEqual(['good']);
    expect(test.seen.outcomes).toEqual(['malformed']);
    expect(test.seen.lines).toEqual([]);
  });

  it('the SQS event source removes a malformed message after 50 deliveries, and logs the removal', async () => {
    await using test = open([[message('hello', 'bad', 50)]]);
    await waitUntil(() => expect(test.seen.receives).toBe(2));
    expect([test.seen.removed, test.seen.outcomes]).toEqual([['bad'], ['dropped']]);
    expect(test.seen.lines).toEqual(['malformed message deleted after too many deliveries']);
  });

  it('the SQS event source pauses if the queue redelivers malformed messages immediately', async () => {
    await using test = open(Array.from({ length: 5 }, () => [message('hello', 'bad')]));
    await waitUntil(() => expect(test.seen.time.waiting).toEqual([1_000]));
    expect(test.seen.receives).toBe(1);
    await test.seen.time.advance(1_000);
    await waitUntil(() => expect(test.seen.receives).toBe(2));
  });

  it('the SQS event source pauses if no message of a batch can be removed', async () => {
    const answers = Array.from({ length: 5 }, () => [message(labelUpdated('a'), 'r')]);
    await using test = open(answers, { failEach: 1 });
    await waitUntil(() => expect(test.seen.time.waiting).toEqual([1_000]));
    expect([test.seen.receives, test.seen.takes, test.seen.progress]).toEqual([1, 1, [undefined]]);
  });

  it('the SQS event source retries with increasing waits, and honors Retry-After', async () => {
    const away = new AppError('STORE_UNAVAILABLE');
    const slow = new AppError('THROTTLED', { retryAfterMs: 30_000 });
    await using test = open([away, away, away, slow, [message(labelUpdated('a'), 'r')]]);
    const waits: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      await waitUntil(() => expect(test.seen.time.waiting).toHaveLength(1));
      const [wait = 0] = test.seen.time.waiting;
      waits.push(Math.round(wait));
      await test.seen.time.advance(wait);
    }
    await waitUntil(() => expect(test.seen.removed).toEqual(['r']));
    expect(waits).toEqual([999, 1_998, 3_996, 30_000]);
    expect(test.seen.progress).toEqual([
      'STORE_UNAVAILABLE',
      'STORE_UNAVAILABLE',
      'STORE_UNAVAILABLE',
      'THROTTLED',
      undefined,
    ]);
  });

  it('the SQS event source retries opening the queue', async () => {
    await using test = open([[message(labelUpdated('a'), 'r')]], { failOpen: 1 });
    await waitUntil(() => expect(test.seen.time.waiting).toHaveLength(1));
    await test.seen.time.advance(60_000);
    await waitUntil(() => expect(test.seen.removed).toEqual(['r']));
    expect(test.seen.progress[0]).toBe('CREDENTIAL_MISSING');
  });

  it('the SQS event source submits the hints of a message even if the message cannot be removed', async () => {
    await using test = open([[message(labelUpdated('a'), 'r')]], { failRemove: 1 });
    await waitUntil(() => expect(test.seen.progress).toEqual(['STORE_UNAVAILABLE']));
    expect(test.seen.hints).toHaveLength(1);
  });

  it.each([
    ['waits for a message', []],
    ['waits after a failure', [new AppError('STORE_UNAVAILABLE')]],
  ])('the SQS event source stops immediately while it %s', async (_, answers: readonly Answer[]) => {
    const test = open(answers);
    await waitUntil(() => expect(test.seen.receives).toBe(1));
    await test.intake[Symbol.asyncDispose]();
    expect([test.seen.closed, test.seen.receives]).toEqual([1, 1]);
    expect(test.seen.time.waiting).toEqual([]);
  });
});
