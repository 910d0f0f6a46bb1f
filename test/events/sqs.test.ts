import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import type { Hint } from '../../src/events/hint.ts';
import { startSqs } from '../../src/events/sqs.ts';
import { type Logger, silentLogger } from '../../src/log/logger.ts';
import type { MessageQueue, QueueMessage } from '../../src/providers/messages.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { soon } from '../soon.ts';
import { arnOf, labelUpdated, REGION } from './aws-events.ts';

type Answer = readonly QueueMessage[] | AppError;

/** A queue whose answers a test gives, and an intake that asks it. */
function open(answers: readonly Answer[], { failOpen = 0, failRemove = 0, failEach = 0 } = {}) {
  const time = createManualTime();
  const left = [...answers];
  const seen = {
    hints: [] as Hint[],
    takes: 0,
    removed: [] as string[],
    outcomes: [] as string[],
    progress: [] as (string | undefined)[],
    lines: [] as string[],
    opened: 0,
    closed: 0,
    asked: 0,
    time,
  };
  const queue: MessageQueue = {
    async receive(signal) {
      seen.asked += 1;
      const answer = left.shift();
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
  const intake = startSqs(
    {
      name: 'eu',
      store: 'aws',
      region: REGION,
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
        const callOff = time.wake(resolve, ms);
        signal.addEventListener('abort', () => resolve());
        await promise;
        callOff();
      },
    },
    {
      take(hints, origin) {
        seen.takes += 1;
        seen.hints.push(...hints);
        expect(origin).toEqual({ kind: 'sqs', name: 'eu' });
        return { targets: hints.length, unknown: 0 };
      },
      onOther: (outcome) => void seen.outcomes.push(outcome),
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

describe('the intake of a queue', () => {
  it('takes a batch in one go, and then takes it out of the queue', async () => {
    await using it = open([[message(labelUpdated('a'), 'r1'), message(labelUpdated('b'), 'r2')], []]);
    await soon(() => expect(it.seen.asked).toBe(3));
    expect(it.seen.hints).toEqual([
      { store: 'aws', keys: [arnOf('a'), 'a'] },
      { store: 'aws', keys: [arnOf('b'), 'b'] },
    ]);
    expect(it.seen.takes).toBe(1);
    expect(it.seen.removed).toEqual(['r1', 'r2']);
    expect(it.seen.progress).toEqual([undefined, undefined]);
  });

  it('leaves what is no event to the redrive policy of the queue', async () => {
    await using it = open([[message('hello', 'bad'), message(labelUpdated('a'), 'good')]]);
    await soon(() => expect(it.seen.asked).toBe(2));
    expect(it.seen.removed).toEqual(['good']);
    expect(it.seen.outcomes).toEqual(['malformed']);
    expect(it.seen.lines).toEqual([]);
  });

  it('takes out what has come too often, and says so', async () => {
    await using it = open([[message('hello', 'bad', 50)]]);
    await soon(() => expect(it.seen.asked).toBe(2));
    expect([it.seen.removed, it.seen.outcomes]).toEqual([['bad'], ['dropped']]);
    expect(it.seen.lines).toEqual([
      'a message that is no event has come too often and is taken out of the queue',
    ]);
  });

  it('does not turn in circles where a queue hides nothing', async () => {
    await using it = open(Array.from({ length: 5 }, () => [message('hello', 'bad')]));
    await soon(() => expect(it.seen.time.waiting).toEqual([1_000]));
    expect(it.seen.asked).toBe(1);
    await it.seen.time.advance(1_000);
    await soon(() => expect(it.seen.asked).toBe(2));
  });

  it('does not turn in circles either where nothing can be taken out', async () => {
    const answers = Array.from({ length: 5 }, () => [message(labelUpdated('a'), 'r')]);
    await using it = open(answers, { failEach: 1 });
    await soon(() => expect(it.seen.time.waiting).toEqual([1_000]));
    expect([it.seen.asked, it.seen.takes, it.seen.progress]).toEqual([1, 1, [undefined]]);
  });

  it('goes on after failures, later and later, and obeys a queue that says when', async () => {
    const away = new AppError('STORE_UNAVAILABLE');
    const slow = new AppError('THROTTLED', { retryAfterMs: 30_000 });
    await using it = open([away, away, away, slow, [message(labelUpdated('a'), 'r')]]);
    const waits: number[] = [];
    for (let n = 0; n < 4; n += 1) {
      await soon(() => expect(it.seen.time.waiting).toHaveLength(1));
      const [wait = 0] = it.seen.time.waiting;
      waits.push(Math.round(wait));
      await it.seen.time.advance(wait);
    }
    await soon(() => expect(it.seen.removed).toEqual(['r']));
    expect(waits).toEqual([999, 1_998, 3_996, 30_000]);
    expect(it.seen.progress).toEqual([
      'STORE_UNAVAILABLE',
      'STORE_UNAVAILABLE',
      'STORE_UNAVAILABLE',
      'THROTTLED',
      undefined,
    ]);
  });

  it('tries again what it could not open', async () => {
    await using it = open([[message(labelUpdated('a'), 'r')]], { failOpen: 1 });
    await soon(() => expect(it.seen.time.waiting).toHaveLength(1));
    await it.seen.time.advance(60_000);
    await soon(() => expect(it.seen.removed).toEqual(['r']));
    expect(it.seen.progress[0]).toBe('CREDENTIAL_MISSING');
  });

  it('has taken a message even if it cannot be taken out', async () => {
    await using it = open([[message(labelUpdated('a'), 'r')]], { failRemove: 1 });
    await soon(() => expect(it.seen.progress).toEqual(['STORE_UNAVAILABLE']));
    expect(it.seen.hints).toHaveLength(1);
  });

  it.each([
    ['waits for a message', []],
    ['waits after a failure', [new AppError('STORE_UNAVAILABLE')]],
  ])('ends at once while it %s', async (_, answers: readonly Answer[]) => {
    const it = open(answers);
    await soon(() => expect(it.seen.asked).toBe(1));
    await it.intake[Symbol.asyncDispose]();
    expect([it.seen.closed, it.seen.asked]).toEqual([1, 1]);
    expect(it.seen.time.waiting).toEqual([]);
  });
});
