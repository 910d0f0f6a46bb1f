import { DeleteMessageBatchCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
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
  return {
    async receive(signal) {
      const { Messages = [] } = await ofQueue(
        session.call(
          'other',
          (client, options) =>
            client.send(
              new ReceiveMessageCommand({
                QueueUrl: queueUrl,
                MaxNumberOfMessages: MOST,
                WaitTimeSeconds: WAIT_SECONDS,
                MessageSystemAttributeNames: ['ApproximateReceiveCount'],
              }),
              options,
            ),
          signal,
        ),
      );
      return Messages.map(({ ReceiptHandle: receipt, Body: body = '', Attributes = {} }) => {
        if (receipt === undefined) throw badAnswer('a message without its receipt');
        return { receipt, body, received: Number(Attributes.ApproximateReceiveCount ?? 1) };
      });
    },
    async remove(receipts, signal) {
      const Entries = receipts.map((ReceiptHandle, index) => ({ Id: `${index}`, ReceiptHandle }));
      await ofQueue(
        session.call(
          'other',
          (client, options) =>
            client.send(new DeleteMessageBatchCommand({ QueueUrl: queueUrl, Entries }), options),
          signal,
        ),
      );
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
