import {
  DeleteMessageBatchCommand,
  type DeleteMessageBatchCommandOutput,
  type MessageSystemAttributeName,
  ReceiveMessageCommand,
  type ReceiveMessageCommandInput,
  type ReceiveMessageCommandOutput,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import type { MessageQueue } from '../message-queue.ts';
import type { ProviderDeps } from '../provider.ts';
import type { AwsConnection } from './config.ts';
import { isDenied, isType } from './errors.ts';
import { type Ask, asStoreError, type ClientParts, openSession } from './session.ts';

/** The limits of SQS: the number of messages in a response, and the number of seconds to wait for messages. */
const MAX_MESSAGES = 10;
const WAIT_SECONDS = 20;
const ATTRIBUTES: MessageSystemAttributeName[] = ['ApproximateReceiveCount'];
/** A receipt that belongs to no message. */
const INVALID_RECEIPT = 'none';

/**
 * Opens an SQS queue with the login of a store. The queue has its own session. Its receive calls wait for messages, and
 * would otherwise occupy the permits that reads need.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
 * @param queueUrl The URL also determines the endpoint of SQS.
 * @throws AppError CONFIG_INVALID
 */
export async function openMessageQueue(
  config: AwsConnection,
  queueUrl: string,
  deps: ProviderDeps,
): Promise<MessageQueue> {
  const session = await openSession(config, deps, (parts) => createClient(parts, queueUrl));
  const receive = (options: Partial<ReceiveMessageCommandInput>, signal: AbortSignal | undefined) => {
    const input = { ...options, QueueUrl: queueUrl, MessageSystemAttributeNames: ATTRIBUTES };
    const ask: Ask<ReceiveMessageCommandOutput, SQSClient> = (client, sendOptions) =>
      client.send(new ReceiveMessageCommand(input), sendOptions);
    return explainQueueErrors(session.call('other', ask, signal));
  };
  const remove = async (receipts: readonly string[], signal: AbortSignal | undefined): Promise<number> => {
    const Entries = receipts.map((ReceiptHandle, index) => ({ Id: `${index}`, ReceiptHandle }));
    const input = { QueueUrl: queueUrl, Entries };
    const ask: Ask<DeleteMessageBatchCommandOutput, SQSClient> = (client, sendOptions) =>
      client.send(new DeleteMessageBatchCommand(input), sendOptions);
    const { Failed = [] } = await explainQueueErrors(session.call('other', ask, signal));
    return Failed.length;
  };
  // A message may have 1 MiB, so ten messages can exceed the maximum response size. Then the next ten messages are
  // received one by one.
  let singlesLeft = 0;
  const receiveSome = async (signal: AbortSignal) => {
    const maxMessages = singlesLeft > 0 ? 1 : MAX_MESSAGES;
    singlesLeft = Math.max(0, singlesLeft - 1);
    try {
      const options = { MaxNumberOfMessages: maxMessages, WaitTimeSeconds: WAIT_SECONDS };
      return (await receive(options, signal)).Messages ?? [];
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== 'TOO_LARGE' || maxMessages === 1) throw thrown;
      singlesLeft = maxMessages;
      return [];
    }
  };
  return {
    async receive(signal) {
      return (await receiveSome(signal)).map(
        ({ ReceiptHandle: receipt, Body: body = '', Attributes = {} }) => {
          if (receipt === undefined) throw badAnswer('a message without a receipt');
          return { receipt, body, received: Number(Attributes.ApproximateReceiveCount ?? 1) };
        },
      );
    },
    remove,
    // Tries both calls, and so checks the two permissions that the queue needs. `GetQueueAttributes` would need a third
    // permission.
    async check(signal) {
      const empty = { MaxNumberOfMessages: 1, WaitTimeSeconds: 0, VisibilityTimeout: 0 };
      await withMissingAction('sqs:ReceiveMessage', receive(empty, signal));
      await withMissingAction('sqs:DeleteMessage', remove([INVALID_RECEIPT], signal));
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

function createClient(parts: ClientParts, queueUrl: string): SQSClient {
  const { origin, hostname } = new URL(queueUrl);
  return new SQSClient({
    ...parts,
    region: regionIn(hostname) ?? parts.region,
    endpoint: origin,
    useFipsEndpoint: false, // the queue URL may already be a FIPS endpoint
    md5: false, // TLS already protects the body, and Node does not support MD5 in FIPS mode
  });
}

/**
 * Extracts the region from host names such as `sqs.<region>.amazonaws.com`. A request must be signed for the region
 * that receives it.
 */
function regionIn(hostname: string): string | undefined {
  return /(?:^|\.)sqs(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\./.exec(hostname)?.[1];
}

/** Adds the name of the missing permission to an ACCESS_DENIED error. */
async function withMissingAction<T>(action: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (thrown) {
    if (!(thrown instanceof AppError) || thrown.code !== 'ACCESS_DENIED' || thrown.detail !== undefined)
      throw thrown;
    throw new AppError('ACCESS_DENIED', { detail: `not allowed: ${action}`, cause: thrown });
  }
}

const NO_QUEUE = ['QueueDoesNotExist', 'AWS.SimpleQueueService.NonExistentQueue', 'InvalidAddress'];
const KMS = ['KmsAccessDenied', 'KmsDisabled', 'KmsNotFound', 'KmsInvalidState', 'KmsOptInRequired'];

async function explainQueueErrors<T>(call: Promise<T>): Promise<T> {
  const explained = async (): Promise<T> => {
    try {
      return await call;
    } catch (thrown) {
      if (isType(thrown, ...NO_QUEUE))
        throw new AppError('CONFIG_INVALID', {
          detail: 'the queue does not exist, or it is in another region',
        });
      if (isType(thrown, ...KMS))
        throw new AppError('ACCESS_DENIED', { detail: 'its KMS key does not allow us to read the queue' });
      if (isType(thrown, 'KmsThrottled', 'OverLimit')) throw new AppError('THROTTLED');
      // The URL of the queue names its region, so the region of the store cannot be the cause.
      if (isDenied(thrown) && !thrown.isKmsDenial) throw new AppError('ACCESS_DENIED');
      throw thrown;
    }
  };
  return asStoreError(explained());
}
