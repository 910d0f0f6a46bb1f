import { describe, expect, it, vi } from 'vitest';
import { AppError } from '../../../src/core/errors.ts';
import type { Hint } from '../../../src/events/hint.ts';
import { startSqsIntake } from '../../../src/events/sqs.ts';
import { silentLogger } from '../../../src/log/logger.ts';
import { AwsConfig } from '../../../src/providers/aws-secrets-manager/config.ts';
import { openMessageQueue } from '../../../src/providers/aws-secrets-manager/queue.ts';
import { testDeps } from '../../conformance/provider-deps.ts';
import { labelUpdated, viaSns } from '../../events/aws-events.ts';
import { openAccount, REGION } from '../providers/aws-harness.ts';
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

function fetching(account: string, queueUrl: string) {
  const hints: Hint[] = [];
  const outcomes: string[] = [];
  const intake = startSqsIntake(
    {
      name: 'eu',
      store: 'aws',
      region: REGION,
      open: () => open(account, queueUrl),
      logger: silentLogger,
      random: Math.random,
    },
    {
      submit(its) {
        hints.push(...its);
        return { targets: its.length, unknown: 0 };
      },
      onSkipped: (outcome) => void outcomes.push(outcome),
      onProgress: () => undefined,
    },
  );
  return { hints, outcomes, [Symbol.asyncDispose]: () => intake[Symbol.asyncDispose]() };
}

describe('a queue of LocalStack', () => {
  it('hands out messages and lets go of them', async ({ skip }) => {
    if (!localstack().isWhole) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    for (let n = 0; n < 12; n += 1) await queue.send(`m${n}`);
    await using it = await open(account.account, queue.url);
    const bodies: string[] = [];
    while (bodies.length < 12) {
      const messages = await it.receive(NEVER);
      expect(messages.length).toBeLessThanOrEqual(10);
      bodies.push(...messages.map(({ body }) => body));
      await it.remove(
        messages.map(({ receipt }) => receipt),
        NEVER,
      );
    }
    expect(bodies.sort()).toEqual(Array.from({ length: 12 }, (_, n) => `m${n}`).sort());
    expect(await queue.size()).toBe(0);
  });

  it('can be asked whether it may be used, with a message in it and without', async ({ skip }) => {
    if (!localstack().isWhole) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    await using it = await open(account.account, queue.url);
    await it.check(NEVER);
    await queue.send('m');
    await it.check(NEVER);
    const [left] = await it.receive(NEVER);
    expect([left?.body, left?.received]).toEqual(['m', 2]);
    expect(await it.remove([left?.receipt ?? '', 'none'], NEVER)).toBe(1);
    await using none = await open(account.account, `${queue.url}-x`);
    await expect(none.check(NEVER)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('can be left in the middle of a wait', async ({ skip }) => {
    if (!localstack().isWhole) skip(NO_SQS);
    using account = openAccount();
    using queue = await createQueue(account.account);
    await using it = await open(account.account, queue.url);
    const ending = new AbortController();
    const waits = it.receive(ending.signal);
    const reason = new AppError('INTERRUPTED');
    ending.abort(reason);
    await expect(waits).rejects.toBe(reason);
  });

  it('that is not there is told so', async ({ skip }) => {
    if (!localstack().isWhole) skip(NO_SQS);
    using account = openAccount();
    await using it = await open(account.account, `${localstack().address}/${account.account}/nobody`);
    await expect(it.receive(NEVER)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });

  it('puts aside itself what is no event', async ({ skip }) => {
    if (!localstack().isWhole) skip(NO_SQS);
    using account = openAccount();
    using aside = await createQueue(account.account);
    using queue = await createQueue(account.account, {
      VisibilityTimeout: '3',
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: aside.arn, maxReceiveCount: 2 }),
    });
    await queue.send('hello');
    await queue.send(viaSns(labelUpdated('db')));
    await using it = fetching(account.account, queue.url);
    await vi.waitFor(async () => expect(await aside.peek()).toEqual(['hello']), { timeout: 20_000 });
    expect(it.hints).toHaveLength(1);
    expect(it.outcomes).toEqual(['malformed', 'malformed']);
    expect(await queue.size()).toBe(0);
  });

  it('is filled by a rule of EventBridge, whose events are understood as they come', async ({ skip }) => {
    if (!localstack().isWhole) skip(NO_SQS);
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
    await using it = fetching(account.account, queue.url);
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
    await vi.waitFor(() => expect(it.hints).toEqual([{ store: 'aws', keys: [arn, 'db'] }]), {
      timeout: 20_000,
    });
    await vi.waitFor(async () => expect(await queue.size()).toBe(0), { timeout: 10_000 });
  });
});
