import { randomUUID } from 'node:crypto';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { REGION } from '../providers/aws-harness.ts';
import { localstack } from '../services/inject.ts';

/** The reason why queue tests are skipped. */
export const NO_SQS = 'LocalStack has SQS and EventBridge only with Python 3.12 or later';

/** An SQS queue of LocalStack, used with administrator rights. */
export interface TestQueue extends Disposable {
  readonly url: string;
  readonly arn: string;
  send(body: unknown): Promise<void>;
  /** The number of messages, including hidden ones. */
  size(): Promise<number>;
  purge(): Promise<void>;
  /** Returns the messages without removing them. */
  peek(): Promise<readonly string[]>;
}

export async function createQueue(
  account: string,
  attributes: Readonly<Record<string, string>> = {},
): Promise<TestQueue> {
  const { address } = localstack();
  const client = new SQSClient({
    region: REGION,
    endpoint: address,
    credentials: { accessKeyId: account, secretAccessKey: 'x' },
  });
  const name = `events-${randomUUID()}`;
  await client.send(new CreateQueueCommand({ QueueName: name, Attributes: attributes }));
  const url = `${address}/${account}/${name}`;
  return {
    url,
    arn: `arn:aws:sqs:${REGION}:${account}:${name}`,
    async send(body) {
      const MessageBody = typeof body === 'string' ? body : JSON.stringify(body);
      await client.send(new SendMessageCommand({ QueueUrl: url, MessageBody }));
    },
    async size() {
      const names = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
      const { Attributes = {} } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...names] }),
      );
      return names.reduce((sum, attribute) => sum + Number(Attributes[attribute]), 0);
    },
    async purge() {
      await client.send(new PurgeQueueCommand({ QueueUrl: url }));
    },
    async peek() {
      const { Messages = [] } = await client.send(
        new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 0 }),
      );
      return Messages.map(({ Body = '' }) => Body);
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}

/** Calls EventBridge through its JSON protocol. LocalStack checks only the access key. */
export async function eventBridge(account: string, operation: string, input: object): Promise<object> {
  const response = await fetch(localstack().address, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `AWSEvents.${operation}`,
      authorization: `AWS4-HMAC-SHA256 Credential=${account}/20260101/${REGION}/events/aws4_request, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(input),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${operation}: ${response.status} ${text}`);
  return JSON.parse(text) as object;
}
