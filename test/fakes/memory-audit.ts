import { append, GENESIS, type Head, type StoredRecord } from '../../src/audit/chain.ts';
import { ACTOR_KINDS, type Action, type AuditRecord } from '../../src/audit/entry.ts';
import { plainEntry } from '../../src/audit/plain-entry.ts';
import type { AuditStore, Page, RecordFilter } from '../../src/audit/store.ts';
import type { Clock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { formatTarget } from '../../src/core/target.ts';

export interface MemoryAudit extends AuditStore {
  /** Everything recorded so far, oldest first. */
  readonly records: readonly AuditRecord[];
  /** While set, every append fails with it and stores nothing. */
  failure: AppError | undefined;
  /** Another process on the same records. */
  another(replica: string): MemoryAudit;
}

export interface MemoryAuditOptions {
  readonly instance?: string;
  readonly replica?: string;
  readonly clock?: Clock;
}

interface Log {
  readonly records: AuditRecord[];
  readonly stored: StoredRecord[];
  readonly running: Set<string>;
  readonly turns: Map<string, Promise<void>>;
}

/** An audit store in memory. Disposing of it is the end of its process. */
export function createMemoryAudit(options: MemoryAuditOptions = {}): MemoryAudit {
  return open(options, { records: [], stored: [], running: new Set(), turns: new Map() });
}

function open(options: MemoryAuditOptions, log: Log): MemoryAudit {
  const { instance = 'test', replica = 'memory-1', clock = { now: () => 1_800_000_000_000 } } = options;
  let closed = false;
  log.running.add(replica);

  const all = (): readonly AuditRecord[] => log.records;
  const head = (): Head => {
    const last = log.records.at(-1);
    return last === undefined ? GENESIS : { sequence: last.sequence, hash: last.hash };
  };
  const newest = (filter: RecordFilter, actions?: readonly Action[]): readonly AuditRecord[] =>
    all()
      .filter((record) => actions?.includes(record.action) ?? true)
      .filter((record) => matches(record, filter))
      .reverse();
  async function use<T>(work: () => T): Promise<T> {
    if (closed)
      throw new AppError('AUDIT_UNAVAILABLE', { about: 'audit store memory', detail: 'it is closed' });
    return work();
  }

  const store: MemoryAudit = {
    address: 'memory',
    failure: undefined,
    get records() {
      return all();
    },
    another: (name) => open({ ...options, replica: name }, log),
    append: (entries) =>
      use(() => {
        if (store.failure !== undefined) throw store.failure;
        const time = new Date(clock.now()).toISOString();
        return entries.map(plainEntry).map((entry) => {
          const { record, stored } = append(head(), entry, { time, instance, replica });
          log.stored.push(stored);
          log.records.push(record);
          return record;
        });
      }),
    list: (filter, { limit, before = Number.POSITIVE_INFINITY }: Page) =>
      use(() =>
        newest(filter)
          .filter(({ sequence }) => sequence < before)
          .slice(0, limit),
      ),
    get: (sequence) => use(() => all().find((record) => record.sequence === sequence)),
    async *scan(from) {
      yield* await use(() => all().filter(({ sequence }) => sequence >= from));
    },
    latest: (filter, actions) => use(() => newest(filter, actions)[0]),
    unresolved: () =>
      use(() => {
        const closedAt = new Map(
          all().flatMap((record): [string, number][] =>
            record.phase === 'outcome' ? [[change(record), record.sequence]] : [],
          ),
        );
        return all().filter(
          (record) =>
            record.phase === 'intent' &&
            (closedAt.get(change(record)) ?? 0) < record.sequence &&
            !log.running.has(record.replica),
        );
      }),
    targets: () =>
      use(() => {
        const changed = all().filter(({ action }) =>
          ['create', 'update', 'adopt', 'repair', 'rollback'].includes(action),
        );
        const ids = changed.flatMap(({ namespace, secret }) =>
          namespace === undefined || secret === undefined ? [] : [{ namespace, secret }],
        );
        return [...new Map(ids.map((id) => [formatTarget(id), id])).values()];
      }),
    exclusively(name, work) {
      const turn = (log.turns.get(name) ?? Promise.resolve()).then(work);
      log.turns.set(
        name,
        turn.then(
          () => undefined,
          () => undefined,
        ),
      );
      return turn;
    },
    async *stored(from) {
      yield* await use(() => log.stored.slice(from - 1));
    },
    head: () => use(head),
    async [Symbol.asyncDispose]() {
      closed = true;
      log.running.delete(replica);
    },
  };
  return store;
}

function change({ requestId, namespace, secret, attempt }: AuditRecord): string {
  return JSON.stringify([requestId, namespace ?? '', secret ?? '', attempt]);
}

function matches(record: AuditRecord, filter: RecordFilter): boolean {
  const { since, until, actor, request, fingerprint } = filter;
  const time = Date.parse(record.time);
  if (since !== undefined && time < Date.parse(since)) return false;
  if (until !== undefined && time > Date.parse(until)) return false;
  if (actor !== undefined && actor !== (isKind(actor) ? record.actor.kind : record.actor.name)) return false;
  if (request !== undefined && request !== record.requestId) return false;
  if (fingerprint !== undefined && fingerprint !== record.before && fingerprint !== record.after)
    return false;
  const same = (['mapping', 'namespace', 'secret', 'action', 'outcome', 'code'] as const).every(
    (name) => filter[name] === undefined || filter[name] === record[name],
  );
  return same && matchesSource(record, filter);
}

function isKind(actor: string): boolean {
  return (ACTOR_KINDS as readonly string[]).includes(actor);
}

function matchesSource({ store, key, sources }: AuditRecord, filter: RecordFilter): boolean {
  const wanted = [filter.store, filter.key, filter.version];
  if (wanted.every((part) => part === undefined)) return true;
  const own = store === undefined ? [] : [[store, key ?? '', '']];
  return [...own, ...sources.map((source) => [source.store, source.key, source.version])].some((parts) =>
    wanted.every((part, index) => part === undefined || part === parts[index]),
  );
}
