import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type AuditRecord, type Entry, NO_KEYS } from '../../src/audit/entry.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { TROUBLE_KINDS } from '../../src/core/troubles.ts';
import type { SendDeps, WebhookChannel } from '../../src/notify/channel.ts';

export const START = 1_800_000_000_000;

export function entry(part: Partial<Entry> & Pick<Entry, 'action'>): Entry {
  return {
    ...{ actor: { kind: 'schedule' }, requestId: 'r', outcome: 'ok' },
    ...{ sources: [], keys: NO_KEYS, durationMs: 0, attempt: 1 },
    ...part,
  };
}

/** The entry of a target that fails with a code, or that is in sync again. */
export function targetEntry(secret: string, code?: string, namespace = 'apps'): Entry {
  const target = { mapping: secret, namespace, secret };
  return code === undefined
    ? entry({ action: 'sweep', ...target })
    : entry({ action: 'refuse', outcome: 'failed', code, ...target });
}

export function record(part: Partial<AuditRecord> & Pick<AuditRecord, 'action' | 'sequence'>): AuditRecord {
  return {
    ...entry(part),
    ...{ time: new Date(START).toISOString(), instance: 'prod', replica: 'r' },
    ...{ previousHash: '', hash: '' },
    ...part,
  };
}

export function webhook(part: Partial<WebhookChannel> = {}): WebhookChannel {
  return {
    ...{ name: 'ops', kind: 'webhook', on: TROUBLE_KINDS, afterMs: 300_000, allowPrivate: true },
    ...{ url: { env: 'URL' }, secret: { env: 'KEY' } },
    ...part,
  };
}

export function sendDeps(env: Readonly<Record<string, string>>): SendDeps {
  return {
    credential: async (reference) =>
      SecretValue.fromText('env' in reference ? (env[reference.env] ?? '') : ''),
    now: () => START,
    signal: new AbortController().signal,
  };
}

export interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface Receiver extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** The answer to each request. */
  answer: { readonly status: number; readonly headers?: Readonly<Record<string, string>> };
  /** Called after a request has arrived, before its answer. */
  onRequest: () => void;
}

/** Starts a server that collects the messages of webhooks. */
export async function startReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8') });
      receiver.onRequest();
      const { status, headers } = receiver.answer;
      response.writeHead(status, headers).end('an answer that is ignored');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook/the-secret-part`,
    port,
    received,
    answer: { status: 200 },
    onRequest: () => undefined,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

/** Returns the signature that a receiver computes. */
export function signatureOf(key: string, time: string, body: string): string {
  return createHmac('sha256', key).update(`${time}.${body}`).digest('hex');
}
