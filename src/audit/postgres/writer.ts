import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createSerialExecutor } from '../../core/serial-executor.ts';
import { sleepUntilAborted } from '../../core/timer.ts';
import type { Head } from '../chain.ts';
import type { AuditRecord, Entry } from '../entry.ts';
import { auditUnavailable, recordsLost } from '../errors.ts';
import type { RecordKeys } from '../record-keys.ts';
import { appendEntries } from '../records/append.ts';
import type { Transaction, WriteState } from '../records/database.ts';
import { deleteOrphanRows } from '../records/reviews.ts';
import { BACKEND } from './backends.ts';
import { ABANDON_INTENTS, transactionOf } from './database.ts';
import { isLocked, isTransient } from './errors.ts';
import { checkBackend, replicaKey } from './locks.ts';
import { checkVersion, createTables } from './schema.ts';
import { type Connector, openSession, SCHEMA_NAME, type Session } from './session.ts';

export interface Writer extends AsyncDisposable {
  write(entries: readonly Entry[]): Promise<readonly AuditRecord[]>;
  /**
   * Runs a change other than an append in one transaction, without concurrent appends. A failed transaction is not
   * retried.
   */
  transact<T>(work: (transaction: Transaction, state: WriteState) => Promise<T>): Promise<T>;
}

export interface WriterOptions {
  readonly connector: Connector;
  readonly instance: string;
  readonly replica: string;
  readonly clock: Clock;
  readonly keys?: Pick<RecordKeys, 'sign'> | undefined;
}

/**
 * How long a write is retried, including the time to replace a lost connection. An unresponsive server is detected
 * after 8 s. Callers receive the error after at most 15 s.
 */
const RETRY_WITHIN_MS = 6_000;
const CLOSE_MS = 2_000;

const COMMIT_UNCERTAIN = 'the connection was lost during a commit: the records may be stored';

/**
 * The only connection that this process writes on. It holds the replica's lock, so that other replicas can see that
 * this process is running. A lost connection is replaced immediately, even if no write is pending.
 */
class WriteConnection {
  readonly closing = new AbortController();
  readonly #connector: Connector;
  readonly #replica: string;
  #current: Session | undefined;
  #opening: Promise<Session> | undefined;

  constructor({ connector, replica }: WriterOptions) {
    this.#connector = connector;
    this.#replica = replica;
  }

  session(): Promise<Session> {
    if (this.closing.signal.aborted) return Promise.reject(auditUnavailable('it is closed'));
    if (this.#current?.open) return Promise.resolve(this.#current);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  async #open(): Promise<Session> {
    const session = await openSession(this.#connector);
    try {
      await createTables(session);
      // Take the lock as a shared lock. An older connection of this process may still hold it, because the server might
      // not have closed that connection yet.
      await session.query('select pg_advisory_lock_shared($1)', [replicaKey(this.#replica)]);
      await checkBackend(session);
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
    this.#current = session;
    void session.ended.then(() => this.#keepConnected());
    return session;
  }

  async #keepConnected(): Promise<void> {
    const { signal } = this.closing;
    for (let waitMs = 100; !signal.aborted && !this.#current?.open; waitMs = Math.min(waitMs * 2, 5_000)) {
      try {
        await this.session();
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        await sleepUntilAborted(waitMs, signal);
      }
    }
  }

  async close(): Promise<void> {
    this.closing.abort();
    try {
      const session = await (this.#opening ?? this.#current);
      if (session?.open) await session.query(ABANDON_INTENTS, [this.#replica], CLOSE_MS);
    } catch (error) {
      // If the intents cannot be marked as abandoned, other replicas treat them as abandoned after some time.
      if (!(error instanceof AppError)) throw error;
    } finally {
      await this.#current?.[Symbol.asyncDispose]();
    }
  }
}

export async function openWriter(options: WriterOptions): Promise<Writer> {
  const { clock, keys, ...identity } = options;
  const connection = new WriteConnection(options);
  /** The newest known record. Each later write checks that the store still contains it. */
  let known: Head | undefined;

  /** Stores all records or none. Throws UncertainCommit if the result is unknown. */
  function append(
    session: Session,
    entries: readonly Entry[],
    uncertain: readonly AuditRecord[] | undefined,
  ): Promise<readonly AuditRecord[]> {
    return inTransaction(session, async (transaction, state) => {
      const last = uncertain?.at(-1);
      if (uncertain !== undefined && last !== undefined && (await isStored(session, last))) return uncertain;
      await assertStored(session, known, state.head);
      if (known === undefined) await deleteOrphanRows(transaction.query);
      known = state.head;
      const time = new Date(clock.now()).toISOString();
      return appendEntries(transaction, state, entries, { ...identity, time, sign: keys?.sign });
    });
  }

  async function write(entries: readonly Entry[]): Promise<readonly AuditRecord[]> {
    const { signal } = connection.closing;
    const deadline = performance.now() + RETRY_WITHIN_MS;
    let uncertain: readonly AuditRecord[] | undefined;
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 1_000)) {
      let session: Session | undefined;
      try {
        session = await connection.session();
        const records = await append(session, entries, uncertain);
        known = records.at(-1) ?? known;
        return records;
      } catch (error) {
        if (error instanceof UncertainCommit) uncertain = error.result as readonly AuditRecord[];
        // While the connection is open, only a timeout of the wait for a lock is worth a retry.
        const refused = signal.aborted || (session?.open ? !isLocked(error) : !isTransient(error));
        if (refused || performance.now() + waitMs >= deadline)
          throw uncertain === undefined ? error : auditUnavailable(COMMIT_UNCERTAIN, error);
      }
      await sleepUntilAborted(waitMs, signal);
    }
  }

  await connection.session();
  const oneAtATime = createSerialExecutor();
  return {
    write: (entries) => oneAtATime(() => write(entries)),
    transact: (work) =>
      oneAtATime(async () => {
        try {
          return await inTransaction(await connection.session(), work);
        } catch (error) {
          throw error instanceof UncertainCommit ? error.cause : error;
        }
      }),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** Fails if the store lacks a record that it contained before. */
async function assertStored(session: Session, known: Head | undefined, head: Head): Promise<void> {
  if (known === undefined || known.hash === head.hash || (await isStored(session, known))) return;
  throw recordsLost(known);
}

async function inTransaction<T>(
  session: Session,
  work: (transaction: Transaction, state: WriteState) => Promise<T>,
): Promise<T> {
  try {
    const result = await work(transactionOf(session), await lockHead(session));
    await commit(session, result);
    return result;
  } catch (error) {
    if (session.open) await session.script('rollback');
    throw error;
  }
}

/**
 * Begins a transaction and locks the row of the head, so that only one process writes at a time. Reads that depend on
 * the lock must be separate statements: a statement that waits for a lock sees the tables as they were before the wait.
 * The tables have their schema, so that a pooler is noticed on a server process without our settings too.
 */
async function lockHead(session: Session): Promise<WriteState> {
  const answers = await session.script(`
    begin isolation level read committed read write;
    select sequence, hash, ${BACKEND} as backend from ${SCHEMA_NAME}.head where id = 1 for update;
    select version from ${SCHEMA_NAME}.schema_version;
    select moving from ${SCHEMA_NAME}.base`);
  const [, [head] = [], [schema] = [], [base] = []] = answers as unknown as readonly [
    unknown,
    (Head & { backend: string })[],
    { version: number }[],
    { moving: string | null }[],
  ];
  if (schema !== undefined) checkVersion(schema.version);
  if (head === undefined) throw auditUnavailable('its head is missing: it was changed from outside');
  session.checkBackend(head.backend);
  return { head, moving: base?.moving ?? null };
}

/** Whether the store contains the record, or has pruned it since. */
async function isStored(session: Session, { sequence, hash }: Head): Promise<boolean> {
  const found = await session.query(
    `select where exists (select from records where sequence = $1 and hash = $2)
       or $1 <= (select sequence from base where id = 1)`,
    [sequence, hash],
  );
  return found.length > 0;
}

/**
 * Commits the transaction. If the connection is lost during the commit, the result is unknown. The retry then locks the
 * head and searches for the records. The server grants this lock only after the old transaction has ended.
 */
async function commit(session: Session, result: unknown): Promise<void> {
  try {
    await session.script('commit');
  } catch (error) {
    if (session.open || !(error instanceof AppError)) throw error;
    throw new UncertainCommit(result, error);
  }
}

class UncertainCommit extends Error {
  /** The value that the transaction would have returned. */
  readonly result: unknown;

  constructor(result: unknown, cause: AppError) {
    super('the result of the commit is unknown', { cause });
    this.result = result;
  }
}
