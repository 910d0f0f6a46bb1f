import { createHmac } from 'node:crypto';
import { AppError } from '../../src/core/errors.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { createEventGridIntake } from '../../src/events/event-grid.ts';
import type { Hint, Origin } from '../../src/events/hint.ts';
import { createWebhookIntake } from '../../src/events/webhook.ts';
import type { Limits } from '../../src/http/deps.ts';
import type { Reference } from '../../src/providers/credentials.ts';
import { type Answer, startTestServer, type TestServer } from './harness.ts';

export const SECRET = 'hook-8c2f6f5d7c5b4f8e';
export const GRID_KEY = 'grid-3b1de1c0a9f44b6f';
/** In milliseconds since 1970. Deliberately not a whole second. */
export const NOW = 1_790_000_000_500;

export interface Submission {
  readonly hints: readonly Hint[];
  readonly origin: Origin;
  readonly requestId: string | undefined;
}

export interface EventTestServer extends AsyncDisposable {
  readonly api: TestServer;
  readonly submissions: readonly Submission[];
  readonly refused: readonly (Origin & { readonly outcome: string })[];
  /** The current time in milliseconds since 1970. */
  now: number;
  /** The credentials, with the names of environment variables as keys. Reading a missing variable fails. */
  readonly credentials: Map<string, string>;
  readonly reads: readonly string[];
  /** If set, every read of a credential fails with this error. */
  failure: Error | undefined;
  /** Runs all pending timer callbacks. */
  runTimers(): void;
  webhook(body: string, options?: WebhookOptions): Promise<Answer>;
  grid(body: unknown, options?: GridOptions): Promise<Answer>;
}

export interface WebhookOptions {
  readonly name?: string;
  readonly signature?: string | undefined;
  readonly from?: string;
}

export interface GridOptions {
  readonly name?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly from?: string;
}

/** Converts milliseconds to whole seconds. */
export const seconds = (ms: number): number => Math.floor(ms / 1_000);

/** Signs a body with an independent implementation of the signature. */
export function sign(body: string, at = NOW, secret = SECRET): string {
  const time = seconds(at);
  return `t=${time},v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;
}

export async function startEventTestServer(limits: Partial<Limits> = {}): Promise<EventTestServer> {
  const submissions: Submission[] = [];
  const refused: (Origin & { readonly outcome: string })[] = [];
  const reads: string[] = [];
  const credentials = new Map([
    ['HOOK', SECRET],
    ['GRID', GRID_KEY],
  ]);
  const state: { now: number; failure?: Error | undefined } = { now: NOW };
  const timers = new Set<() => unknown>();
  const clock = { now: () => state.now };
  const credential = async (reference: Reference): Promise<SecretValue> => {
    const name = 'env' in reference ? reference.env : '';
    reads.push(name);
    if (state.failure !== undefined) throw state.failure;
    const value = credentials.get(name);
    if (value === undefined) throw new AppError('CREDENTIAL_MISSING');
    return SecretValue.fromText(value);
  };
  const submit = (hints: readonly Hint[], origin: Origin, requestId?: string) => {
    submissions.push({ hints, origin, requestId });
    return { targets: hints.length, unknown: 0 };
  };
  const webhook = createWebhookIntake({
    config: { name: 'ci', stores: ['team-vault', 'other'], secret: { env: 'HOOK' } },
    credential,
    clock,
    submit: submit,
  });
  const eventGrid = createEventGridIntake({
    config: { name: 'contoso', store: 'azure-prod', key: { env: 'GRID' } },
    vaultUrl: 'https://contoso.vault.azure.net',
    credential,
    clock,
    submit: submit,
  });
  const api = await startTestServer(
    {
      clock,
      wake(callback) {
        timers.add(callback);
        return () => timers.delete(callback);
      },
      events: {
        webhook: (name) => (name === 'ci' ? webhook : undefined),
        eventGrid: (name) => (name === 'contoso' ? eventGrid : undefined),
        onRefused: (origin, outcome) => void refused.push({ ...origin, outcome }),
      },
    },
    limits,
  );
  return {
    api,
    submissions: submissions,
    refused,
    reads,
    credentials,
    get now() {
      return state.now;
    },
    set now(value) {
      state.now = value;
    },
    get failure() {
      return state.failure;
    },
    set failure(error) {
      state.failure = error;
    },
    runTimers() {
      const due = [...timers];
      timers.clear();
      for (const callback of due) callback();
    },
    webhook(body, options = {}) {
      const signature = 'signature' in options ? options.signature : sign(body, state.now);
      return api.call('POST', `/events/webhook/${options.name ?? 'ci'}`, {
        body,
        headers: {
          'content-type': 'application/json',
          ...(signature === undefined ? {} : { 'x-secretbridge-signature': signature }),
        },
        ...(options.from === undefined ? {} : { from: options.from }),
      });
    },
    grid(body, { name = 'contoso', query = '', from, headers = { 'x-secretbridge-key': GRID_KEY } } = {}) {
      return api.call('POST', `/events/azure/${name}${query}`, {
        body: typeof body === 'string' ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...headers },
        ...(from === undefined ? {} : { from }),
      });
    },
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}
