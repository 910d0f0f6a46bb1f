import type { Clock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { createInTurn } from '../../core/in-turn.ts';
import { pause } from '../../core/pause.ts';
import type { Head } from '../chain.ts';
import type { AuditRecord, Entry } from '../entry.ts';
import { because } from '../failures.ts';
import { MOVING } from '../move/moving.ts';
import { leftovers } from '../records/tables.ts';
import { isLocked, isPassing } from './errors.ts';
import { replicaKey } from './locks.ts';
import { type Compatibility, checkVersion, migrate } from './migrations.ts';
import { type Batch, batchOf, INSERT, LEAVE_BEHIND, REVIEW, REVIEW_SQL } from './rows.ts';
import { type Connector, openSession, type Session } from './session.ts';

export interface Writer extends AsyncDisposable {
  write(entries: readonly Entry[]): Promise<readonly AuditRecord[]>;
  /** Another change of the tables, in one transaction that nobody appends beside. Not tried again. */
  change<T>(work: (session: Session, head: Head) => Promise<T>): Promise<T>;
}

export interface WriterOptions {
  readonly connector: Connector;
  readonly instance: string;
  readonly replica: string;
  readonly clock: Clock;
}

/**
 * Within it a lost connection is made anew and the write tried again. A server that stands still is so known after
 * 8 s, and after 15 s to those whose records waited for that.
 */
const PATIENCE_MS = 6_000;
const CLOSE_MS = 2_000;

const IN_DOUBT = 'the connection was lost while records were stored: they may be there';

/**
 * The one connection that a process writes by. It holds the replica's lock, so that every record is written while
 * others can see that we live; when it is lost, another one is made at once, whether there is something to write
 * or not.
 */
export async function openWriter(options: WriterOptions): Promise<Writer> {
  const { connector, instance, replica, clock } = options;
  const closing = new AbortController();
  let current: Session | undefined;
  let opening: Promise<Session> | undefined;
  /** The newest record that this process wrote: it must never be missing again. */
  let known: Head | undefined;

  async function open(): Promise<Session> {
    const session = await openSession(connector);
    try {
      await migrate(session);
      // Shared, so that a connection that the server has not yet given up does not keep us out.
      await session.query('select pg_advisory_lock_shared($1)', [replicaKey(replica)]);
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
    current = session;
    void session.ended.then(stayPresent);
    return session;
  }

  function ready(): Promise<Session> {
    if (closing.signal.aborted) return Promise.reject(because('it is closed'));
    if (current?.open) return Promise.resolve(current);
    opening ??= open().finally(() => {
      opening = undefined;
    });
    return opening;
  }

  const inTurn = createInTurn();

  async function stayPresent(): Promise<void> {
    for (let waitMs = 100; !closing.signal.aborted && !current?.open; waitMs = Math.min(waitMs * 2, 5_000)) {
      try {
        await ready();
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        await pause(waitMs, closing.signal);
      }
    }
  }

  async function write(entries: readonly Entry[]): Promise<readonly AuditRecord[]> {
    const deadline = performance.now() + PATIENCE_MS;
    let doubted: readonly AuditRecord[] | undefined;
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 1_000)) {
      let session: Session | undefined;
      try {
        session = await ready();
        const records = await transaction(session, entries, doubted);
        known = records.at(-1) ?? known;
        return records;
      } catch (error) {
        if (error instanceof Doubt) doubted = error.records;
        // What a server said on a connection that still stands, it would say again.
        const refused = closing.signal.aborted || (session?.open ? !isLocked(error) : !isPassing(error));
        if (refused || performance.now() + waitMs >= deadline)
          throw doubted === undefined ? error : because(IN_DOUBT, error);
      }
      await pause(waitMs, closing.signal);
    }
  }

  /** All of it is stored, or nothing, or Doubt is thrown. */
  async function transaction(
    session: Session,
    entries: readonly Entry[],
    doubted: readonly AuditRecord[] | undefined,
  ): Promise<readonly AuditRecord[]> {
    try {
      const head = await lockHead(session);
      const last = doubted?.at(-1);
      if (doubted !== undefined && last !== undefined && (await isStored(session, last))) {
        await session.script('rollback');
        return doubted;
      }
      if (head.moving !== null) throw because(MOVING);
      if (known !== undefined && known.hash !== head.hash && !(await isStored(session, known)))
        throw because(
          'it lacks records that this process wrote: the server lost them, or older data came back',
        );
      if (known === undefined) for (const leftover of leftovers(REVIEW_SQL)) await session.query(leftover);
      const circumstances = { time: new Date(clock.now()).toISOString(), instance, replica };
      const batch = batchOf(entries, head, circumstances);
      const { sequence, hash } = batch.records.at(-1) ?? head;
      await insertBatch(session, batch, { sequence, hash });
      await commit(session, batch.records);
      return batch.records;
    } catch (error) {
      if (session.open) await session.script('rollback');
      throw error;
    }
  }

  async function change<T>(work: (session: Session, head: Head) => Promise<T>): Promise<T> {
    const session = await ready();
    try {
      const result = await work(session, await lockHead(session));
      await session.script('commit');
      return result;
    } catch (error) {
      if (session.open) await session.script('rollback');
      throw error;
    }
  }

  await ready();
  return {
    // One after the other: what is within a transaction of the connection must not be mixed.
    write: (entries) => inTurn(() => write(entries)),
    change: (work) => inTurn(() => change(work)),
    async [Symbol.asyncDispose]() {
      closing.abort();
      try {
        const session = await (opening ?? current);
        if (session?.open) await session.query(LEAVE_BEHIND, [replica], CLOSE_MS);
      } catch (error) {
        // Then our intents are found by their age.
        if (!(error instanceof AppError)) throw error;
      } finally {
        await current?.[Symbol.asyncDispose]();
      }
    },
  };
}

/**
 * Whoever holds the row of the head writes; the others wait in line. What the last one did is seen by a statement
 * of its own only: the one that waited still sees the tables as they were before.
 */
async function lockHead(session: Session): Promise<Head & { readonly moving: string | null }> {
  const answers = await session.script(`
    begin isolation level read committed read write;
    select sequence, hash from head where id = 1 for update;
    select schema_version, oldest_reader, oldest_writer from compatibility;
    select moving from base`);
  const [, [head] = [], [version] = [], [base] = []] = answers as unknown as readonly [
    unknown,
    Head[],
    Compatibility[],
    { moving: string | null }[],
  ];
  if (version !== undefined) checkVersion(version, 'write');
  if (head === undefined) throw because('its head is missing, so that it was changed from outside');
  return { ...head, moving: base?.moving ?? null };
}

/** Within a transaction that holds the head. */
export async function insertBatch(session: Session, batch: Batch, { sequence, hash }: Head): Promise<void> {
  await session.query(INSERT, [batch.rows, sequence, hash]);
  if (batch.reviews !== undefined) await session.query(REVIEW, [batch.reviews]);
}

/** It may also have left in order since, by `prune`. */
async function isStored(session: Session, { sequence, hash }: Head): Promise<boolean> {
  const found = await session.query(
    `select where exists (select from records where sequence = $1 and hash = $2)
       or $1 <= (select sequence from base)`,
    [sequence, hash],
  );
  return found.length > 0;
}

/**
 * A connection that is lost here leaves open whether the records are there. They are looked for under the lock of
 * the head: when we hold it, the server has ended that transaction, one way or the other.
 */
async function commit(session: Session, records: readonly AuditRecord[]): Promise<void> {
  try {
    await session.script('commit');
  } catch (error) {
    if (session.open || !(error instanceof AppError)) throw error;
    throw new Doubt(records, error);
  }
}

class Doubt extends Error {
  readonly records: readonly AuditRecord[];

  constructor(records: readonly AuditRecord[], cause: AppError) {
    super('the commit was not answered', { cause });
    this.records = records;
  }
}
