import { describe, expect, it, vi } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import type { Hint } from '../../../src/events/hint.ts';
import { startSqsIntake } from '../../../src/events/sqs.ts';
import type { EventStore } from '../../../src/events/sqs-event.ts';
import { openMessageQueue } from '../../../src/providers/aws/queue.ts';
import { AwsConfig } from '../../../src/providers/aws-secrets-manager/config.ts';
import { silentLogger } from '../../../src/telemetry/logger.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { labelUpdated, viaSns } from '../../events/aws-events.ts';
import { openAccount, REGION } from '../providers/aws-harness.ts';
import { openParameters } from '../providers/aws-parameters.ts';
import { localstack } from '../services/inject.ts';
import { createQueue, eventBridge, NO_SQS } from './queue.ts';

const NEVER = new AbortController().signal;

function open(account: string, queueUrl: string) {
  const config = AwsConfig.parse({
    kind: 'aws-secrets-manager',
    region: REGION,
    endpoint: localstack().address,
    auth: { method: 'static', accessKeyId: { env: 'KEY_ID' }, secretAccessKey: { env: 'SECRET_KEY' } },
  });
  const env = { KEY_ID: account, SECRET_KEY: 'x' };
  return openMessageQueue(config, queueUrl, testDeps({ env, timeoutMs: 30_000 }));
}

function startIntake(account: string, queueUrl: string, kind: EventStore['kind'] = 'aws-secrets-manager') {
  const hints: Hint[] = [];
  const outcomes: string[] = [];
  const intake = startSqsIntake(
    {
      name: 'eu',
      store: 'aws',
      events: { kind, region: REGION },
      open: () => open(account, queueUrl),
      logger: silentLogger,
      random: Math.random,
    },
    {
      submit(received) {
        hints.push(...received);
        return { targets: received.length, unknown: 0 };
      },
      onSkipped: (outcome) => void outcomes.push(outcome),
      onProgress: () => undefined,
    },
  );
  return { hints, outcomes, [Symbol.asyncDispose]: () => intake[Symbol.asyncDispose]() };
}

describe('a queue of LocalStack', () => {
  it('delivers the messages of a queue, and then removes these messages from the queue', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    for (let n = 0; n < 12; n += 1) await queue.send(`m${n}`);
    await using messageQueue = await open(account.account, queue.url);
    const bodies: string[] = [];
    while (bodies.length < 12) {
      const messages = await messageQueue.receive(NEVER);
      expect(messages.length).toBeLessThanOrEqual(10);
      bodies.push(...messages.map(({ body }) => body));
      await messageQueue.remove(
        messages.map(({ receipt }) => receipt),
        NEVER,
      );
    }
    expect(bodies.sort()).toEqual(Array.from({ length: 12 }, (_, n) => `m${n}`).sort());
    expect(await queue.size()).toBe(0);
  });

  it('a queue passes a check both while it is empty and while it contains a message', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    await using messageQueue = await open(account.account, queue.url);
    await messageQueue.check(NEVER);
    await queue.send('m');
    await messageQueue.check(NEVER);
    const [message] = await messageQueue.receive(NEVER);
    expect([message?.body, message?.received]).toEqual(['m', 2]);
    expect(await messageQueue.remove([message?.receipt ?? '', 'none'], NEVER)).toBe(1);
    await using missingQueue = await open(account.account, `${queue.url}-x`);
    await expect(missingQueue.check(NEVER)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('a receive call stops waiting when it is aborted', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    await using messageQueue = await open(account.account, queue.url);
    const ending = new AbortController();
    const receiving = messageQueue.receive(ending.signal);
    const reason = new AppError('INTERRUPTED');
    ending.abort(reason);
    await expect(receiving).rejects.toBe(reason);
  });

  it('a check fails with CONFIG_INVALID when the queue does not exist', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    using account = openAccount();
    await using messageQueue = await open(
      account.account,
      `${localstack().address}/${account.account}/nobody`,
    );
    await expect(messageQueue.receive(NEVER)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('moves invalid messages to the dead-letter queue', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    using account = openAccount();
    using deadLetters = await createQueue(account.account);
    using queue = await createQueue(account.account, {
      VisibilityTimeout: '3',
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: deadLetters.arn, maxReceiveCount: 2 }),
    });
    await queue.send('hello');
    await queue.send(viaSns(labelUpdated('db')));
    await using intake = startIntake(account.account, queue.url);
    await vi.waitFor(async () => expect(await deadLetters.peek()).toEqual(['hello']), { timeout: 20_000 });
    expect(intake.hints).toHaveLength(1);
    expect(intake.outcomes).toEqual(['malformed', 'malformed']);
    expect(await queue.size()).toBe(0);
  });

  it('delivers the events of an EventBridge rule', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    const pattern = { source: ['aws.secretsmanager'], detail: { labelUpdated: ['AWSCURRENT'] } };
    await eventBridge(account.account, 'PutRule', {
      Name: 'rotations',
      EventPattern: JSON.stringify(pattern),
    });
    await eventBridge(account.account, 'PutTargets', {
      Rule: 'rotations',
      Targets: [{ Id: 'queue', Arn: queue.arn }],
    });
    await using intake = startIntake(account.account, queue.url);
    const arn = `arn:aws:secretsmanager:${REGION}:${account.account}:secret:db-AbC123`;
    await eventBridge(account.account, 'PutEvents', {
      Entries: [
        {
          Source: 'aws.secretsmanager',
          DetailType: 'Secret Label Updated',
          Resources: [arn],
          Detail: JSON.stringify({ name: 'db', labelUpdated: 'AWSCURRENT', versionId: 'v' }),
        },
      ],
    });
    await vi.waitFor(() => expect(intake.hints).toEqual([{ store: 'aws', keys: [arn, 'db'] }]), {
      timeout: 20_000,
    });
    await vi.waitFor(async () => expect(await queue.size()).toBe(0), { timeout: 10_000 });
  });

  it('delivers the events of a parameter that changes', async ({ skip }) => {
    if (!localstack().isComplete) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    await eventBridge(account.account, 'PutRule', {
      Name: 'parameters',
      EventPattern: JSON.stringify({ source: ['aws.ssm'], 'detail-type': ['Parameter Store Change'] }),
    });
    await eventBridge(account.account, 'PutTargets', {
      Rule: 'parameters',
      Targets: [{ Id: 'queue', Arn: queue.arn }],
    });
    await using intake = startIntake(account.account, queue.url, 'aws-parameter-store');
    using parameters = openParameters(account.account);
    await parameters.put('/app/db', 'x');
    await vi.waitFor(() => expect(intake.hints).toEqual([{ store: 'aws', keys: ['/app/db'] }]), {
      timeout: 20_000,
    });
    await vi.waitFor(async () => expect(await queue.size()).toBe(0), { timeout: 10_000 });
  });
});
