import {
  DeleteMessageBatchCommand,
  type MessageSystemAttributeName,
  ReceiveMessageCommand,
  type ReceiveMessageCommandInput,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { AppError } from '../../core/errors.ts';
import { badAnswer } from '../answer.ts';
import type { MessageQueue } from '../messages.ts';
import type { ProviderDeps } from '../provider.ts';
import type { AwsConfig } from './config.ts';
import { isType } from './errors.ts';
import { asStoreError, type ClientParts, openSession } from './session.ts';

/** The most that SQS gives at a time, and the longest that it waits for something to give. */
const MOST = 10;
const WAIT_SECONDS = 20;
const COUNT: MessageSystemAttributeName[] = ['ApproximateReceiveCount'];
/** Of no message. */
const NO_RECEIPT = 'none';

/**
 * A queue of SQS, with the login of a store and a session of its own: a poll that waits must not take the place of a
 * read. https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
 * @param queueUrl Also says where SQS is.
 * @throws AppError CONFIG_INVALID
 */
export async function openMessageQueue(
  config: AwsConfig,
  queueUrl: string,
  deps: ProviderDeps,
): Promise<MessageQueue> {
  const session = await openSession(config, deps, (parts) => createClient(parts, queueUrl));
  const receive = (how: Partial<ReceiveMessageCommandInput>, signal: AbortSignal | undefined) => {
    const command = { ...how, QueueUrl: queueUrl, MessageSystemAttributeNames: COUNT };
    return ofQueue(
      session.call(
        'other',
        (client, options) => client.send(new ReceiveMessageCommand(command), options),
        signal,
      ),
    );
  };
  const remove = async (receipts: readonly string[], signal: AbortSignal | undefined): Promise<number> => {
    const Entries = receipts.map((ReceiptHandle, index) => ({ Id: `${index}`, ReceiptHandle }));
    const command = { QueueUrl: queueUrl, Entries };
    const { Failed = [] } = await ofQueue(
      session.call(
        'other',
        (client, options) => client.send(new DeleteMessageBatchCommand(command), options),
        signal,
      ),
    );
    return Failed.length;
  };
  // A message may have 1 MiB, so ten may be more than is read of an answer. One never is.
  let oneByOne = 0;
  const receiveSome = async (signal: AbortSignal) => {
    const most = oneByOne > 0 ? 1 : MOST;
    oneByOne = Math.max(0, oneByOne - 1);
    try {
      const how = { MaxNumberOfMessages: most, WaitTimeSeconds: WAIT_SECONDS };
      return (await receive(how, signal)).Messages ?? [];
    } catch (thrown) {
      if (!(thrown instanceof AppError) || thrown.code !== 'TOO_LARGE' || most === 1) throw thrown;
      oneByOne = most;
      return [];
    }
  };
  return {
    async receive(signal) {
      return (await receiveSome(signal)).map(
        ({ ReceiptHandle: receipt, Body: body = '', Attributes = {} }) => {
          if (receipt === undefined) throw badAnswer('a message without its receipt');
          return { receipt, body, received: Number(Attributes.ApproximateReceiveCount ?? 1) };
        },
      );
    },
    remove,
    // With the two rights that it needs anyway: `GetQueueAttributes` would be a third one.
    async check(signal) {
      const empty = { MaxNumberOfMessages: 1, WaitTimeSeconds: 0, VisibilityTimeout: 0 };
      await naming('sqs:ReceiveMessage', receive(empty, signal));
      await naming('sqs:DeleteMessage', remove([NO_RECEIPT], signal));
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
    useFipsEndpoint: false, // the address of the queue may be a FIPS one itself
    md5: false, // the connection keeps bodies whole, and a Node in FIPS mode has no MD5
  });
}

/** Of `sqs.<region>.amazonaws.com` and its kin; a request must be signed for the region that it goes to. */
function regionIn(hostname: string): string | undefined {
  return /(?:^|\.)sqs(?:-fips)?\.([a-z]{2,}(?:-[a-z]+)+-\d+)\./.exec(hostname)?.[1];
}

/** An identity that may not do it is told what it lacks. */
async function naming<T>(action: string, call: Promise<T>): Promise<T> {
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

async function ofQueue<T>(call: Promise<T>): Promise<T> {
  const explained = async (): Promise<T> => {
    try {
      return await call;
    } catch (thrown) {
      if (isType(thrown, ...NO_QUEUE))
        throw new AppError('CONFIG_INVALID', {
          detail: 'there is no such queue, or it is in another region',
        });
      if (isType(thrown, ...KMS))
        throw new AppError('ACCESS_DENIED', { detail: 'its KMS key does not let us read the queue' });
      if (isType(thrown, 'KmsThrottled', 'OverLimit')) throw new AppError('THROTTLED');
      throw thrown;
    }
  };
  return asStoreError(explained());
}
