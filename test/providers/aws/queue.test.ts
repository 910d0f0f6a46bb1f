import { describe, expect, it } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import { openMessageQueue } from '../../../src/providers/aws/queue.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { AwsError } from '../../fakes/aws-operations.ts';
import { startAwsServer } from '../../fakes/aws-server.ts';
import { startSqsServer } from '../../fakes/sqs-server.ts';
import { waitUntil } from '../../wait-until.ts';
import { parse, REGION, roleArn } from '../aws-secrets-manager/harness.ts';

const NEVER = new AbortController().signal;
const ENV = { KEY_ID: 'AKIATEST', SECRET_KEY: 'secret', AWS_EC2_METADATA_DISABLED: 'true' };

async function open(config: Readonly<Record<string, unknown>> = {}) {
  const sqs = await startSqsServer();
  const queue = await openMessageQueue(parse(config), sqs.queueUrl, testDeps({ env: ENV }));
  return {
    sqs,
    queue,
    async [Symbol.asyncDispose]() {
      await queue[Symbol.asyncDispose]();
      await sqs[Symbol.asyncDispose]();
    },
  };
}

async function codeOf(work: Promise<unknown>): Promise<unknown> {
  const [settled] = await Promise.allSettled([work]);
  return settled.status === 'rejected' && settled.reason instanceof AppError ? settled.reason.code : settled;
}

describe('an SQS queue', () => {
  it('returns up to ten messages, each with the number of its deliveries', async () => {
    await using fixture = await open();
    for (let n = 0; n < 12; n += 1) fixture.sqs.send(`m${n}`);
    const first = await fixture.queue.receive(NEVER);
    const second = await fixture.queue.receive(NEVER);
    expect([...first, ...second].map(({ body }) => body).sort()).toEqual(
      Array.from({ length: 12 }, (_, n) => `m${n}`).sort(),
    );
    expect([first.length, second.length]).toEqual([10, 2]);
    expect(new Set([...first, ...second].map(({ received }) => received))).toEqual(new Set([1]));
  });

  it('receives messages one by one if ten messages exceed the maximum response size', async () => {
    await using fixture = await open();
    for (let n = 0; n < 10; n += 1) fixture.sqs.send(`${n}${'"'.repeat(2 ** 20 - 1)}`);
    fixture.sqs.hiddenMs = 0; // Messages that were not removed become visible again immediately.
    const bodies: string[] = [];
    for (let polls = 0; polls < 11; polls += 1) {
      const messages = await fixture.queue.receive(NEVER);
      bodies.push(...messages.map(({ body }) => body.slice(0, 2)));
      if (messages.length > 0)
        await fixture.queue.remove(
          messages.map(({ receipt }) => receipt),
          NEVER,
        );
    }
    expect(bodies).toEqual(Array.from({ length: 10 }, (_, n) => `${n}"`));
    // After these ten messages, the queue requests up to ten messages at a time again.
    for (let n = 0; n < 3; n += 1) fixture.sqs.send(`m${n}`);
    expect(await fixture.queue.receive(NEVER)).toHaveLength(3);
  });

  it('removes only the messages that it was told to remove', async () => {
    await using fixture = await open();
    for (const body of ['a', 'b', 'c']) fixture.sqs.send(body);
    fixture.sqs.hiddenMs = 0;
    const [a, , c] = await fixture.queue.receive(NEVER);
    const receipts = [a?.receipt ?? '', c?.receipt ?? '', 'of nothing'];
    expect(await fixture.queue.remove(receipts, NEVER)).toBe(1);
    const remaining = await fixture.queue.receive(NEVER);
    expect(remaining.map(({ body, received }) => [body, received])).toEqual([['b', 2]]);
  });

  it('checks its permissions, and removes and hides no message', async () => {
    await using fixture = await open();
    fixture.sqs.send('a');
    await fixture.queue.check(NEVER);
    expect(fixture.sqs.requests.map(({ operation }) => operation)).toEqual([
      'ReceiveMessage',
      'DeleteMessageBatch',
    ]);
    expect((await fixture.queue.receive(NEVER)).map(({ body }) => body)).toEqual(['a']);
  });

  it.each([
    ['sqs:ReceiveMessage', 0],
    ['sqs:DeleteMessage', 1],
  ])('names the permission %s in the error if it is missing', async (action, before) => {
    await using fixture = await open();
    const denied = new AwsError('AccessDenied', 403);
    fixture.sqs.faults.push(...Array.from({ length: before }, () => 'none' as const), denied);
    await expect(fixture.queue.check(undefined)).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      detail: `not allowed: ${action}`,
    });
  });

  it('waits for messages as long as SQS allows', async () => {
    await using fixture = await open();
    const waits = fixture.queue.receive(NEVER);
    await waitUntil(() => expect(fixture.sqs.polls).toBe(1));
    fixture.sqs.send('late');
    expect((await waits).map(({ body }) => body)).toEqual(['late']);
    expect(fixture.sqs.requests[0]?.input).toMatchObject({ WaitTimeSeconds: 20, MaxNumberOfMessages: 10 });
  });

  it('stops waiting for messages immediately when its signal is aborted', async () => {
    await using fixture = await open();
    const ending = new AbortController();
    const waits = fixture.queue.receive(ending.signal);
    await waitUntil(() => expect(fixture.sqs.polls).toBe(1));
    const reason = new AppError('INTERRUPTED');
    ending.abort(reason);
    await expect(waits).rejects.toBe(reason);
  });

  it("signs requests with the store's credentials for the queue's region", async () => {
    await using fixture = await open();
    fixture.sqs.send('a');
    await fixture.queue.receive(NEVER);
    expect(fixture.sqs.requests[0]).toMatchObject({ accessKeyId: 'AKIATEST', region: REGION });
  });

  it('signs requests with the credentials of the role that the store assumes', async () => {
    await using aws = await startAwsServer({ region: REGION });
    aws.addGrant({ accessKeyId: 'AKIATEST', secretAccessKey: 'secret' });
    await using fixture = await open({
      endpoint: aws.address,
      auth: {
        method: 'static',
        accessKeyId: { env: 'KEY_ID' },
        secretAccessKey: { env: 'SECRET_KEY' },
        assumeRole: [{ roleArn: roleArn('reader') }],
      },
    });
    fixture.sqs.send('a');
    await fixture.queue.receive(NEVER);
    expect(aws.requests.map(({ operation }) => operation)).toEqual(['AssumeRole']);
    expect(fixture.sqs.requests[0]?.accessKeyId).toMatch(/^ASIA/);
  });

  it.each([
    [new AwsError('com.amazonaws.sqs#QueueDoesNotExist'), 'CONFIG_INVALID'],
    [new AwsError('AWS.SimpleQueueService.NonExistentQueue'), 'CONFIG_INVALID'],
    [new AwsError('com.amazonaws.sqs#AccessDeniedException', 403), 'ACCESS_DENIED'],
    [new AwsError('KmsAccessDenied'), 'ACCESS_DENIED'],
    [new AwsError('RequestThrottled'), 'THROTTLED'],
    [new AwsError('OverLimit', 403), 'THROTTLED'],
    [new AwsError('ExpiredToken', 403), 'AUTH_FAILED'],
    [new AwsError('InternalError', 500), 'STORE_UNAVAILABLE'],
    ['reset' as const, 'STORE_UNAVAILABLE'],
    [{ status: 503, retryAfter: 7 }, 'STORE_UNAVAILABLE'],
  ])('converts an error of SQS to the right code: %o', async (fault, code) => {
    await using fixture = await open();
    // Set the fault twice, because a refused login is repeated once.
    fixture.sqs.faults.push(fault, fault);
    expect(await codeOf(fixture.queue.receive(NEVER))).toBe(code);
  });

  it('does not quote the message of AWS in an error', async () => {
    await using fixture = await open();
    fixture.sqs.faults.push(new AwsError('SomethingNew'));
    const [settled] = await Promise.allSettled([fixture.queue.receive(NEVER)]);
    expect(settled.status === 'rejected' && String(settled.reason)).not.toContain('must never be shown');
  });

  it('passes on the delay that SQS requests before a retry', async () => {
    await using fixture = await open();
    fixture.sqs.faults.push({ status: 503, retryAfter: 7 });
    await expect(fixture.queue.receive(NEVER)).rejects.toMatchObject({ retryAfterMs: 7_000 });
  });
});
