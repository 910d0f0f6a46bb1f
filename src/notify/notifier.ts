import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AuditRecord, type Entry, NO_KEYS } from '../audit/entry.ts';
import type { AuditStore } from '../audit/store.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { smallest } from '../core/lists.ts';
import { createCoalescer } from '../core/serial-executor.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Channel } from './channel.ts';
import { type Facts, newFacts } from './facts.ts';
import { type Message, messageOf } from './message.ts';
import { type Decision, TroubleLog } from './trouble-log.ts';

export interface NotifierDeps {
  readonly audit: Pick<
    AuditStore,
    'append' | 'base' | 'checkWritable' | 'exclusively' | 'get' | 'head' | 'latest' | 'list'
  >;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The name of this instance, and with it the names of former ones. The first is the present one. */
  readonly instances: readonly string[];
  /** The present channels of the configuration. */
  readonly channels: () => readonly Channel[];
  readonly delivery: {
    /** Sends a message once. */
    readonly send: (channel: Channel, message: Message, signal: AbortSignal) => Promise<void>;
    readonly onResult: (channel: string, error: AppError | undefined) => void;
  };
}

/** The state of a channel in this process. */
export interface ChannelStatus {
  readonly name: string;
  readonly kind: Channel['kind'];
  readonly state: 'up' | 'degraded';
  /** RFC 3339: when a message was last sent. */
  readonly lastSuccess?: string;
  readonly code?: string;
}

interface Attempts {
  failures: number;
  retryAt: number;
  error?: AppError | undefined;
  sentAt?: number;
}

/** A new channel gets what began within this number of records, and has not ended. */
const FIRST_RECORDS = 5_000;
/** Older records are not read at the start of a process. Older troubles then end without a message. */
const MAX_RECORDS = 100_000;
/** After this many records without a message, the place from which to read is recorded. */
const CURSOR_RECORDS = 20_000;
const PAGE = 500;
const FIRST_RETRY_MS = 5_000;
const MAX_RETRY_MS = 5 * 60_000;

/**
 * Sends the messages of all channels, and records in the audit that they were sent. So a message survives a crash, and
 * several replicas send it once. A crash between a message and its record makes one double.
 */
export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #attempts = new Map<string, Attempts>();
  /** The place from which the next process reads for a channel, if it is recorded. */
  readonly #cursors = new Map<string, number>();
  #log: TroubleLog | undefined;

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
  }

  /**
   * Sends the message that is due for a channel, if any. Returns the delay in milliseconds until the next attempt after a failure.
   * @throws AppError AUDIT_UNAVAILABLE
   */
  async run(name: string, facts: Facts, signal: AbortSignal): Promise<number | undefined> {
    const { clock } = this.#deps;
    const channel = this.#channel(name);
    if (channel === undefined) return undefined;
    const waitMs = (this.#attempts.get(name)?.retryAt ?? 0) - clock.now();
    // If the clock was set back, do not wait longer than any retry does.
    if (waitMs > 0 && waitMs <= MAX_RETRY_MS) return waitMs;
    const log = await this.#read();
    await this.#recordFacts(log, facts);
    await this.#recordBeginning(log, channel);
    if (log.decide(channel, clock.now()) === undefined) {
      await this.#recordCursor(log, channel);
      return undefined;
    }
    return this.#deps.audit.exclusively(`notify-${name}`, () => this.#send(log, channel, signal));
  }

  /** Returns the state of each configured channel. */
  statuses(): readonly ChannelStatus[] {
    return this.#deps.channels().map(({ name, kind }) => {
      const { error, sentAt } = this.#attempts.get(name) ?? {};
      return {
        ...{ name, kind, state: error === undefined ? 'up' : 'degraded' },
        ...(sentAt === undefined ? {} : { lastSuccess: new Date(sentAt).toISOString() }),
        ...(error === undefined ? {} : { code: error.code }),
      };
    });
  }

  #channel(name: string): Channel | undefined {
    return this.#deps.channels().find((candidate) => candidate.name === name);
  }

  /** Only one process sends the messages of a channel at a time. */
  async #send(log: TroubleLog, channel: Channel, signal: AbortSignal): Promise<number | undefined> {
    const { audit, clock, instances } = this.#deps;
    // Another process may have sent the message while this one waited.
    await this.#read();
    const now = clock.now();
    const notification = log.decide(channel, now);
    if (notification === undefined) return undefined;
    const { decision, from } = log.decisionOf(channel, now);
    const [instance = ''] = instances;
    const message = messageOf(notification, { instance, channel: channel.name, now });
    // Records become durable in order, so everything that the message says is durable after this.
    await audit.checkWritable();
    const failedMs = await this.#attempt(channel, message, signal);
    if (failedMs !== undefined) return failedMs;
    const size = { opened: notification.opened.length, closed: notification.closed.length };
    const counts = { ...countsOf(decision, from), ...size };
    await audit.append([entryOf(channel.name, { outcome: 'ok', counts })]);
    log.apply(decision, this.#deps.channels());
    return undefined;
  }

  /** Sends a message. Returns the delay until the next attempt if it fails. */
  async #attempt(channel: Channel, message: Message, signal: AbortSignal): Promise<number | undefined> {
    const { audit, clock, logger, delivery } = this.#deps;
    const { name } = channel;
    const attempts = this.#attempts.get(name) ?? { failures: 0, retryAt: 0 };
    this.#attempts.set(name, attempts);
    try {
      await delivery.send(channel, message, signal);
      delivery.onResult(name, undefined);
      if (attempts.failures > 0) logger.info('notifications are delivered again', { name });
      this.#attempts.set(name, { failures: 0, retryAt: 0, sentAt: clock.now() });
      return undefined;
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      const error = toAppError(thrown);
      delivery.onResult(name, error);
      const isNew = attempts.error?.message !== error.message;
      attempts.failures += 1;
      attempts.error = error;
      const backoffMs = FIRST_RETRY_MS * 2 ** Math.min(attempts.failures - 1, 10);
      const delayMs = Math.min(Math.max(backoffMs, error.retryAfterMs ?? 0), MAX_RETRY_MS);
      attempts.retryAt = clock.now() + delayMs;
      if (isNew) {
        logger.error('a notification could not be delivered, and is sent again', { name, error });
        await audit.append([entryOf(name, { outcome: 'failed', code: error.code })]);
      }
      return delayMs;
    }
  }

  /** Records what has begun or ended and leaves no record by itself. */
  async #recordFacts(log: TroubleLog, facts: Facts): Promise<void> {
    const { audit } = this.#deps;
    if (newFacts(log, facts).length === 0) return;
    await audit.exclusively('notify', async () => {
      await this.#read();
      const entries = newFacts(log, facts);
      if (entries.length > 0) await audit.append(entries);
    });
    await this.#read();
  }

  /**
   * Records that a channel is new. So it hears of everything that ends after this, even if a crash prevents its first
   * message. The time 0 says that it had no message yet.
   */
  async #recordBeginning(log: TroubleLog, channel: Channel): Promise<void> {
    const { name } = channel;
    if (this.#cursors.has(name)) return;
    const { audit } = this.#deps;
    await audit.exclusively(`notify-${name}`, async () => {
      const known = await this.#latestFrom(name);
      const counts = countsOf(log.decisionOf(channel, 0).decision, log.beginning);
      if (known === undefined) await audit.append([entryOf(name, { outcome: 'ok', counts })]);
      this.#cursors.set(name, known ?? log.beginning);
    });
    await this.#read();
  }

  /** Records from where the next process must read, if that is far behind otherwise. */
  async #recordCursor(log: TroubleLog, channel: Channel): Promise<void> {
    const { audit, clock } = this.#deps;
    const last = this.#cursors.get(channel.name) ?? 0;
    if (log.position - last < CURSOR_RECORDS) return;
    const { decision, from } = log.decisionOf(channel, clock.now());
    this.#cursors.set(channel.name, log.position);
    if (from <= last) return;
    await audit.append([entryOf(channel.name, { outcome: 'ok', counts: countsOf(decision, from) })]);
  }

  /** Returns from where to read for a channel, if that is recorded. */
  async #latestFrom(name: string): Promise<number | undefined> {
    const filter = { request: requestIdOf(name), outcome: 'ok' } as const;
    return (await this.#deps.audit.latest(filter, ['notify']))?.counts?.from;
  }

  /** Reads the records that are new. */
  async #read(): Promise<TroubleLog> {
    await this.#readNew();
    if (this.#log === undefined) throw new AppError('INTERNAL', { detail: 'the audit was not read' });
    return this.#log;
  }

  readonly #readNew = createCoalescer(async () => {
    const { audit, instances, channels } = this.#deps;
    const log = this.#log ?? (await this.#begin());
    for (;;) {
      const page = await audit.list({}, { limit: PAGE, after: log.position });
      for (const record of page)
        if (instances.includes(record.instance)) log.note(await this.#withReviewed(record), channels());
        else log.skipTo(record.sequence);
      this.#log = log;
      if (page.length < PAGE) return;
      await nextTurn();
    }
  });

  /** Returns a log that reads everything for which some channel may still need a message. */
  async #begin(): Promise<TroubleLog> {
    const { audit, channels } = this.#deps;
    const [head, base] = [await audit.head(), await audit.base()];
    const oldest = Math.max(base.sequence, head.sequence - MAX_RECORDS);
    const starts = await Promise.all(
      channels().map(async ({ name }) => {
        const from = await this.#latestFrom(name);
        if (from !== undefined) this.#cursors.set(name, from);
        return from ?? head.sequence - FIRST_RECORDS;
      }),
    );
    return new TroubleLog(Math.max(oldest, smallest([head.sequence, ...starts])));
  }

  /** A review names no target, so take it from the record that it is about. */
  async #withReviewed(record: AuditRecord): Promise<AuditRecord> {
    const { review } = record;
    if (review === undefined) return record;
    const { mapping, namespace, secret } = (await this.#deps.audit.get(review.sequence)) ?? {};
    return {
      ...record,
      ...(mapping === undefined ? {} : { mapping }),
      ...(namespace === undefined ? {} : { namespace }),
      ...(secret === undefined ? {} : { secret }),
    };
  }
}

/** Returns a decision as a record has it, with the record after which the next process must read. */
function countsOf({ until, at, afterMs, rules }: Decision, from: number): Readonly<Record<string, number>> {
  return { until, at, after: afterMs, rules, from };
}

function requestIdOf(channel: string): string {
  return `notify.${channel}`;
}

function entryOf(channel: string, what: Pick<Entry, 'outcome' | 'code' | 'counts'>): Entry {
  return {
    actor: { kind: 'schedule' },
    requestId: requestIdOf(channel),
    action: 'notify',
    ...what,
    note: channel,
    ...{ sources: [], keys: NO_KEYS, durationMs: 0, attempt: 1 },
  };
}
