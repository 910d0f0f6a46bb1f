import { append, GENESIS, type Head, type StoredRecord } from '../../src/audit/chain.ts';
import type { Action, AuditRecord, ReviewState } from '../../src/audit/entry.ts';
import { matches } from '../../src/audit/matches.ts';
import { linkedRecords } from '../../src/audit/move/movable-audit.ts';
import type { NeighborQuery } from '../../src/audit/record-index.ts';
import { WRITE_ACTIONS } from '../../src/audit/record-index.ts';
import type { RecordKeys } from '../../src/audit/record-keys.ts';
import { summaryRows } from '../../src/audit/records/summary-rows.ts';
import { sanitizeEntry } from '../../src/audit/sanitize-entry.ts';
import type { AuditStore, ConfigurationParts, Page, RecordFilter, Review } from '../../src/audit/store.ts';
import type { AuditSummaries } from '../../src/audit/summaries.ts';
import type { Clock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import { matches as matchesGlob } from '../../src/core/glob.ts';
import { formatTarget } from '../../src/core/target.ts';

export interface MemoryAudit extends AuditStore {
  /** All records so far, oldest first. */
  readonly records: readonly AuditRecord[];
  /** As long as this is set, every append throws this error and stores nothing. */
  failure: AppError | undefined;
  /** Opens the same records as another process. */
  another(replica: string): MemoryAudit;
}

export interface MemoryAuditOptions {
  readonly instance?: string;
  readonly replica?: string;
  readonly clock?: Clock;
  readonly keys?: Pick<RecordKeys, 'sign'>;
}

interface Log {
  /** The records that were not pruned. */
  readonly records: AuditRecord[];
  readonly stored: StoredRecord[];
  base: Head;
  /** The pruned records, which queries still return, oldest first. */
  readonly pruned: AuditRecord[];
  /** The text of the last configuration of each instance. */
  readonly configurations: Map<string, { readonly hash: string; readonly parts: ConfigurationParts }>;
  readonly running: Set<string>;
  readonly queues: Map<string, Promise<void>>;
}

/** Creates an audit store in memory. Disposing the store ends its process. */
export function createMemoryAudit(options: MemoryAuditOptions = {}): MemoryAudit {
  return openProcess(options, {
    records: [],
    stored: [],
    base: GENESIS,
    pruned: [],
    configurations: new Map(),
    running: new Set(),
    queues: new Map(),
  });
}

function openProcess(options: MemoryAuditOptions, log: Log): MemoryAudit {
  const { instance = 'test', replica = 'memory-1', clock = { now: () => 1_800_000_000_000 }, keys } = options;
  let closed = false;
  log.running.add(replica);

  const all = (): readonly AuditRecord[] => log.records;
  const head = (): Head => {
    const last = log.records.at(-1);
    return last === undefined ? log.base : { sequence: last.sequence, hash: last.hash };
  };
  const reviewsOf = (): ReadonlyMap<number, AuditRecord> =>
    new Map(
      all().flatMap((record): [number, AuditRecord][] =>
        record.action === 'review' && record.review !== undefined && record.review.sequence < record.sequence
          ? [[record.review.sequence, record]]
          : [],
      ),
    );
  const isReviewed = (record: AuditRecord, state: ReviewState | undefined): boolean =>
    state === undefined ||
    (record.action !== 'review' &&
      (reviewsOf().get(record.sequence)?.review?.state ?? 'unreviewed') === state);
  const newest = (filter: RecordFilter, actions?: readonly Action[]): readonly AuditRecord[] =>
    all()
      .filter((record) => actions?.includes(record.action) ?? true)
      .filter((record) => matches(record, filter) && isReviewed(record, filter.review))
      .reverse();
  /** Returns the intents without an outcome. */
  const openIntents = (): readonly AuditRecord[] => {
    const closedAt = new Map(
      [...log.pruned, ...all()].flatMap((record): [string, number][] =>
        record.phase === 'outcome' ? [[change(record), record.sequence]] : [],
      ),
    );
    return [...log.pruned, ...all()].filter(
      (record) => record.phase === 'intent' && (closedAt.get(change(record)) ?? 0) < record.sequence,
    );
  };
  async function use<T>(work: () => T): Promise<T> {
    if (closed) throw unavailable('it is closed');
    return work();
  }

  const store: MemoryAudit = {
    address: 'memory',
    failure: undefined,
    get records() {
      return all();
    },
    another: (name) => openProcess({ ...options, replica: name }, log),
    append: (entries) =>
      use(() => {
        if (store.failure !== undefined) throw store.failure;
        const time = new Date(clock.now()).toISOString();
        return entries.map(sanitizeEntry).map((entry) => {
          const { record, stored } = append(head(), entry, { time, instance, replica, sign: keys?.sign });
          log.stored.push(stored);
          log.records.push(record);
          return record;
        });
      }),
    checkWritable: () =>
      use(() => {
        if (store.failure !== undefined) throw store.failure;
      }),
    list: (filter, { limit, before = Number.POSITIVE_INFINITY, after }: Page) =>
      use(() => {
        const found = newest(filter).filter(({ sequence }) => sequence < before && sequence > (after ?? 0));
        return (after === undefined ? found : found.toReversed()).slice(0, limit);
      }),
    get: (sequence) => use(() => all().find((record) => record.sequence === sequence)),
    latest: (filter, actions, before = Number.POSITIVE_INFINITY) =>
      use(
        () =>
          newest(filter, actions).find(({ sequence }) => sequence < before) ??
          log.pruned.findLast(
            (record) =>
              record.sequence < before && actions.includes(record.action) && matches(record, filter),
          ),
      ),
    unresolvedIntents: (isOver = () => false) =>
      use(() =>
        openIntents().filter(
          (record) => !log.running.has(record.replica) || (record.replica === replica && isOver(record)),
        ),
      ),
    openAttempts: (requestId, target) =>
      use(() =>
        openIntents()
          .filter(
            ({ requestId: id, action, namespace = '', secret = '' }) =>
              action !== 'restart' &&
              id === requestId &&
              namespace === target.namespace &&
              secret === target.secret,
          )
          .map(({ attempt }) => attempt),
      ),
    configuration: (name) => use(() => log.configurations.get(name)?.parts ?? new Map()),
    keptConfiguration: (name) => use(() => log.configurations.get(name)?.hash),
    keepConfiguration: (name, { from, hash, parts: added, removed }) =>
      use(() => {
        const kept = log.configurations.get(name);
        if (from !== undefined && kept?.hash !== from) return false;
        const parts = new Map(from === undefined ? [] : kept?.parts);
        for (const part of removed) parts.delete(part);
        for (const [part, content] of added) parts.set(part, content);
        log.configurations.set(name, { hash, parts });
        return true;
      }),
    targets: () =>
      use(() => {
        const changed = [...log.pruned, ...all()].filter(({ action }) =>
          ['create', 'update', 'adopt', 'repair', 'rollback'].includes(action),
        );
        const ids = changed.flatMap(({ namespace, secret }) =>
          namespace === undefined || secret === undefined ? [] : [{ namespace, secret }],
        );
        return [...new Map(ids.map((id) => [formatTarget(id), id])).values()];
      }),
    exclusively(name, work) {
      const result = (log.queues.get(name) ?? Promise.resolve()).then(work);
      log.queues.set(
        name,
        result.then(
          () => undefined,
          () => undefined,
        ),
      );
      return result;
    },
    async *storedRecords(from) {
      yield* await use(() => log.stored.slice(Math.max(0, from - 1 - log.base.sequence)));
    },
    head: () => use(head),
    base: () => use(() => log.base),
    reviews: (sequences) =>
      use(() => {
        const last = reviewsOf();
        return new Map(
          sequences.flatMap((sequence): [number, Review][] => {
            const review = last.get(sequence);
            const exists = all().some((record) => record.sequence === sequence && record.action !== 'review');
            return review?.review === undefined || !exists ? [] : [[sequence, toReview(review)]];
          }),
        );
      }),
    index: {
      openIntents: (sequences) =>
        use(
          () =>
            new Set(
              openIntents()
                .map(({ sequence }) => sequence)
                .filter((sequence) => sequences.includes(sequence)),
            ),
        ),
      targetNeighbors: ({ namespace, secret }, query) =>
        use(() =>
          neighbors(all(), query)
            .filter((record) => record.namespace === namespace && record.secret === secret)
            .slice(0, query.limit),
        ),
      nearestUse: (source, query) =>
        use(() => {
          const found = neighbors(all(), query).find((record) => matches(record, source));
          return found && { sequence: found.sequence, action: found.action };
        }),
      configurations: (before, limit) =>
        use(() =>
          newest({ action: 'configure', outcome: 'ok' })
            .filter(({ sequence }) => sequence < before)
            .slice(0, limit),
        ),
    },
    summaries: memorySummaries(all, newest, () => [...log.pruned, ...all()]),
    prune: (until) =>
      use(() => {
        if (until.sequence === log.base.sequence && until.hash === log.base.hash) return 0;
        const index = all().findIndex(
          ({ sequence, hash }) => sequence === until.sequence && hash === until.hash,
        );
        if (index < 0) throw unavailable('it does not contain the record to prune up to');
        // Keep all pruned records. A real store keeps only the latest pruned records, and the tests of the real stores
        // check this.
        log.pruned.push(...log.records.splice(0, index + 1));
        log.stored.splice(0, index + 1);
        log.base = { sequence: until.sequence, hash: until.hash };
        return index + 1;
      }),
    importRecords: (records, base) =>
      use(() => {
        const from = head();
        if (from.sequence !== 0 && from.hash !== base.hash)
          throw unavailable('the imported records do not follow its last record');
        const imported = [...linkedRecords(records, base)];
        if (from.sequence === 0) log.base = base;
        for (const { record, text } of imported) {
          log.records.push(record);
          log.stored.push({ text, hash: record.hash, columnsMatch: true });
        }
      }),
    async [Symbol.asyncDispose]() {
      closed = true;
      log.running.delete(replica);
    },
  };
  return store;
}

function unavailable(detail: string): AppError {
  return new AppError('AUDIT_UNAVAILABLE', { subject: 'audit store memory', detail });
}

function toReview({ review, actor, time, note, sequence }: AuditRecord): Review {
  return {
    state: review?.state ?? 'unreviewed',
    ...(actor.name === undefined ? {} : { by: actor.name }),
    time,
    ...(note === undefined ? {} : { note }),
    ...(review?.followUp === undefined ? {} : { followUp: review.followUp }),
    sequence,
  };
}

function change({ requestId, namespace, secret, action, attempt }: AuditRecord): string {
  return JSON.stringify([requestId, namespace ?? '', secret ?? '', action === 'restart', attempt]);
}

function neighbors(
  records: readonly AuditRecord[],
  { side, sequence, actions }: Omit<NeighborQuery, 'limit'>,
): readonly AuditRecord[] {
  const found = records.filter(
    (record) =>
      actions.includes(record.action) &&
      (side === 'before' ? record.sequence < sequence : record.sequence > sequence),
  );
  return side === 'before' ? found.toReversed() : found;
}

function memorySummaries(
  all: () => readonly AuditRecord[],
  newest: (filter: RecordFilter, actions?: readonly Action[]) => readonly AuditRecord[],
  everything: () => readonly AuditRecord[],
): AuditSummaries {
  const isIn = (namespace: string, globs: readonly string[] | undefined): boolean =>
    globs?.some((glob) => matchesGlob(glob, namespace)) ?? true;
  const contains = (name: string, text: string): boolean => name.toLowerCase().includes(text.toLowerCase());
  return {
    async counts({ from, to, step }, namespaces) {
      const steps = new Map<
        number,
        { hour: number; changes: number; failures: number; refusals: number; held: number }
      >();
      for (const row of summaryRows(all()).record_counts) {
        if (row.hour < from || row.hour >= to || !isIn(row.namespace, namespaces)) continue;
        const hour = from + Math.floor((row.hour - from) / step) * step;
        const sum = steps.get(hour) ?? { hour, changes: 0, failures: 0, refusals: 0, held: 0 };
        steps.set(hour, sum);
        for (const name of ['changes', 'failures', 'refusals', 'held'] as const) sum[name] += row[name];
      }
      return [...steps.values()].sort((a, b) => a.hour - b.hour);
    },
    sourceVersions: async () =>
      summaryRows(everything()).source_versions.map(({ sequence: _, ...row }) => row),
    async targetsOfSource(source, limit, namespaces) {
      const found = new Map<string, { namespace: string; secret: string; sequence: number }>();
      for (const { namespace, secret, sequence } of newest(
        { ...source, ...(namespaces && { namespaces }) },
        WRITE_ACTIONS,
      ))
        if (namespace !== undefined && secret !== undefined && !found.has(`${namespace}/${secret}`))
          found.set(`${namespace}/${secret}`, { namespace, secret, sequence });
      return [...found.values()].slice(0, limit);
    },
    async findNames(text, limit, namespaces) {
      const targets = new Map(
        newest({}, ['create', 'update', 'adopt', 'repair', 'rollback']).flatMap(
          ({ namespace = '', secret = '' }) =>
            contains(secret, text) && isIn(namespace, namespaces)
              ? [[`${secret}/${namespace}`, { namespace, secret }] as const]
              : [],
        ),
      );
      const { people, source_versions: sources } = summaryRows(everything());
      const names = people.filter(
        ({ name, namespace }) => contains(name, text) && isIn(namespace, namespaces),
      );
      return {
        targets: [...targets]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([, id]) => id)
          .slice(0, limit),
        people: [...new Set(names.map(({ name }) => name))].sort().slice(0, limit),
        sources:
          namespaces === undefined
            ? sources
                .filter(({ key }) => contains(key, text))
                .map(({ store, key }) => ({ store, key }))
                .slice(0, limit)
            : [],
      };
    },
    findNotes: async (text, limit) =>
      summaryRows(all())
        .record_notes.filter(({ note }) => contains(note, text))
        .reverse()
        .slice(0, limit),
  };
}
