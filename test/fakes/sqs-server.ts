import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { AwsError } from './aws-operations.ts';
import { bodyOf } from './body.ts';
import { closeServer, listen } from './loopback.ts';

/** A fault that replaces the normal answer of the fake. `none` means the normal answer. */
export type SqsFault = AwsError | 'none' | 'reset' | { readonly status: number; readonly retryAfter: number };

interface Stored {
  readonly id: string;
  readonly body: string;
  received: number;
  visibleAt: number;
  receipt: string;
}

/**
 * A fake of SQS over HTTP with its JSON protocol. It supports the operations that secretbridge uses. The receipt of a
 * message is valid until the message is delivered again.
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/
 */
export interface SqsServer extends AsyncDisposable {
  readonly queueUrl: string;
  /** Adds a message to the queue. */
  send(body: string): void;
  /** The number of messages, including hidden ones. */
  readonly size: number;
  readonly requests: {
    readonly operation: string;
    readonly input: Readonly<Record<string, unknown>>;
    /** The region and the access key with which the request was signed. */
    readonly region: string | undefined;
    readonly accessKeyId: string | undefined;
  }[];
  /** The faults of the next requests. Each request uses one. */
  readonly faults: SqsFault[];
  /** The time for which a delivered message is hidden. */
  hiddenMs: number;
  /** The number of long polls that are waiting. */
  readonly polls: number;
}

export async function startSqsServer({
  now = Date.now,
}: {
  readonly now?: () => number;
} = {}): Promise<SqsServer> {
  const messages = new Map<string, Stored>();
  const waiting = new Set<() => void>();

  const visible = (limit: number, hiddenMs: number): Stored[] => {
    const batch = [...messages.values()].filter(({ visibleAt }) => visibleAt <= now()).slice(0, limit);
    for (const message of batch) {
      message.received += 1;
      message.visibleAt = now() + hiddenMs;
      message.receipt = randomUUID();
    }
    return batch;
  };
  const receive = async (input: Record<string, unknown>, disconnected: Promise<unknown>): Promise<object> => {
    const limit = Number(input.MaxNumberOfMessages ?? 1);
    const { VisibilityTimeout } = input;
    const hiddenMs = VisibilityTimeout === undefined ? sqs.hiddenMs : Number(VisibilityTimeout) * 1_000;
    const until = now() + Number(input.WaitTimeSeconds ?? 0) * 1_000;
    let isDisconnected = false;
    void disconnected.then(() => {
      isDisconnected = true;
    });
    let batch = visible(limit, hiddenMs);
    while (batch.length === 0 && !isDisconnected && now() < until) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      // Do not wait longer than until the next hidden message becomes visible.
      const next = Math.min(until, ...[...messages.values()].map(({ visibleAt }) => visibleAt));
      const timer = setTimeout(resolve, Math.max(1, next - now()));
      await Promise.race([promise, disconnected]);
      clearTimeout(timer);
      waiting.delete(resolve);
      // A client that has disconnected must not get a message.
      if (!isDisconnected) batch = visible(limit, hiddenMs);
    }
    if (batch.length === 0) return {};
    return {
      Messages: batch.map(({ id, body, received, receipt }) => ({
        MessageId: id,
        Body: body,
        ReceiptHandle: receipt,
        Attributes: { ApproximateReceiveCount: `${received}` },
      })),
    };
  };
  const remove = ({ Entries: entries }: Record<string, unknown>): object => {
    if (!Array.isArray(entries) || entries.length === 0 || entries.length > 10)
      throw new AwsError('com.amazonaws.sqs#TooManyEntriesInBatchRequest');
    const Successful: object[] = [];
    const Failed: object[] = [];
    for (const { Id, ReceiptHandle } of entries as readonly { Id: string; ReceiptHandle: string }[]) {
      const message = [...messages.values()].find(({ receipt }) => receipt === ReceiptHandle);
      if (message === undefined) Failed.push({ Id, SenderFault: true, Code: 'ReceiptHandleIsInvalid' });
      else {
        messages.delete(message.id);
        Successful.push({ Id });
      }
    }
    return { Successful, Failed };
  };

  const listener = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const body = await bodyOf(incoming);
    if (body === undefined) return;
    const input = JSON.parse(body.toString());
    const operation = String(incoming.headers['x-amz-target']).replace('AmazonSQS.', '');
    const signed = /Credential=([^/]+)\/\d+\/([^/]+)\/sqs\//.exec(incoming.headers.authorization ?? '');
    sqs.requests.push({ operation, input, region: signed?.[2], accessKeyId: signed?.[1] });
    const fault = sqs.faults.shift();
    if (fault === 'reset') return incoming.socket.resetAndDestroy();
    if (typeof fault === 'object' && !(fault instanceof AwsError)) {
      outgoing.writeHead(fault.status, {
        'content-type': 'text/plain',
        'retry-after': `${fault.retryAfter}`,
      });
      return outgoing.end();
    }
    try {
      if (fault instanceof AwsError) throw fault;
      if (signed === null) throw new AwsError('MissingAuthenticationToken', 403);
      if (input.QueueUrl !== sqs.queueUrl) throw new AwsError('com.amazonaws.sqs#QueueDoesNotExist');
      if (operation === 'ReceiveMessage')
        return answer(outgoing, 200, await receive(input, once(outgoing, 'close')));
      if (operation === 'DeleteMessageBatch') return answer(outgoing, 200, remove(input));
      throw new AwsError('InvalidAction');
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      answer(outgoing, error.status, { __type: error.type, message: error.message });
    }
  };
  const server = createServer(listener);
  const port = await listen(server);

  const sqs: SqsServer = {
    queueUrl: `http://127.0.0.1:${port}/123456789012/events`,
    send(body) {
      const id = randomUUID();
      messages.set(id, { id, body, received: 0, visibleAt: now(), receipt: '' });
      for (const wake of waiting) wake();
    },
    get size() {
      return messages.size;
    },
    requests: [],
    faults: [],
    hiddenMs: 30_000,
    get polls() {
      return waiting.size;
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
  return sqs;
}

function answer(outgoing: ServerResponse, status: number, body: object): void {
  if (outgoing.destroyed) return;
  outgoing.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
  outgoing.end(JSON.stringify(body));
}
