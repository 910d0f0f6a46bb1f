import type { App } from '../../src/app/app.ts';
import { absenceRuleOf } from '../../src/app/stores.ts';
import { createApprovalLog } from '../../src/audit/approval-log.ts';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { verify } from '../../src/audit/verify/verify.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { type SyncOptions, syncTargets } from '../../src/commands/sync.ts';
import type { Config } from '../../src/config/config.ts';
import { waitsUntil } from '../../src/core/change-windows.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import type { Mapping } from '../../src/core/mapping.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { noTracing } from '../../src/core/tracer.ts';
import type { SecretProvider } from '../../src/providers/provider.ts';
import {
  createSourceReaders,
  type ReaderOptions,
  type SourceReader,
} from '../../src/providers/source-reader.ts';
import { createApprovalGate, withSingleUse } from '../../src/reconcile/approvals.ts';
import { AuditRecorder } from '../../src/reconcile/audit-recorder.ts';
import { createUnresolvedIntents } from '../../src/reconcile/change.ts';
import { createRecordLookup } from '../../src/reconcile/record-lookup.ts';
import { desiredIndex, resolveTargets, unresolvedTargets } from '../../src/reconcile/targets.ts';
import type { LogFields } from '../../src/telemetry/log-fields.ts';
import { type Logger, silentLogger } from '../../src/telemetry/logger.ts';
import { linesOf, loadText } from '../config/memory-fs.ts';
import { faulty, type Watch } from '../fakes/faulty.ts';
import { createManualTime, type ManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import {
  createMemoryCluster,
  type MemoryCluster,
  type MemoryClusterOptions,
} from '../fakes/memory-cluster.ts';
import { pinsOf, RECORD_KEYS, SEALER } from '../fakes/record-keys.ts';
import { fixedStores } from '../fakes/stores.ts';

/** The `mappings` of a configuration, in YAML. The store is named `vault`. */
export const TWO_MAPPINGS = `
  - name: db
    target: { namespace: apps }
    data:
      USER: { store: vault, key: db, property: user }
      PASSWORD: { store: vault, key: db, property: password }
  - name: token
    target: { namespace: apps }
    data:
      TOKEN: { store: vault, key: token }
      PASSWORD: { store: vault, key: db, property: password }
`;

export const DB_ONLY = `
  - name: db
    target: { namespace: apps }
    data:
      USER: { store: vault, key: db, property: user }
      PASSWORD: { store: vault, key: db, property: password }
`;

export const APPS_DB = { namespace: 'apps', secret: 'db' };
export const APPS_TOKEN = { namespace: 'apps', secret: 'token' };

/** A fake store whose keys a test sets. */
export interface FakeStore {
  /** Sets a new value, and keeps the previous value readable under its version. */
  put(key: string, text: string, version?: string, createdAt?: number): void;
  /** Removes one version from the store. */
  purge(key: string, version: string): void;
  absent(key: string): void;
  fail(key: string, error: AppError): void;
  /** Sets the tags of a key, for searches. */
  tag(key: string, tags: Readonly<Record<string, string>>): void;
  /** Sets whether searches list the key, because a list may be stale. */
  listed(key: string, isListed: boolean): void;
  failSearches(error: AppError | undefined): void;
  /** Every search that ran, as JSON. */
  readonly searches: string[];
  /** The keys that were read, one entry for each reference. */
  readonly reads: string[];
}

/** A configuration with a cluster, a store and an audit store. Only one process at a time uses it. */
export interface World {
  readonly cluster: MemoryCluster;
  readonly store: FakeStore;
  readonly clock: ManualTime;
  /** The writes to the cluster, each as `<secret> <new resourceVersion>`. */
  readonly changes: readonly string[];
  /** Sets the mappings, and the other sections, of all processes that start later. */
  configure(mappings: string | readonly Mapping[], more?: string): Promise<void>;
  /**
   * Starts a process whose calls to store, cluster and audit a test can watch. Disposing the process ends it, and work
   * that it has not recorded is lost.
   * @param request The request id. By default, a new one.
   */
  start(watch?: Watch, request?: string): Promise<Process>;
  /** Starts a process, runs one sync, and ends the process. */
  sync(watch?: Watch, options?: SyncOptions): Promise<Awaited<ReturnType<typeof syncTargets>>>;
  /** All audit records, oldest first. */
  readonly records: readonly AuditRecord[];
  /** Returns the audit records after a sequence number, as one line each. */
  story(after?: number): readonly string[];
  chain(): ReturnType<typeof verify>;
}

export interface Process extends AsyncDisposable {
  readonly app: App;
  sync(options?: SyncOptions): ReturnType<typeof syncTargets>;
}

export interface WorldOptions {
  readonly mappings?: string | readonly Mapping[];
  readonly cluster?: MemoryClusterOptions;
  /** The kind of the store and its fields, in YAML. Reads go to the fake store in any case. */
  readonly storeKind?: string;
  /** More top-level sections of the configuration, in YAML. */
  readonly more?: string;
  readonly logger?: Logger;
  /** Opens the audit for each process. Default: a store in memory, which all processes share. */
  readonly openAudit?: (replica: string, clock: ManualTime) => Promise<AuditParts>;
}

export type AuditParts = Pick<App, 'audit' | 'storedAudit' | 'pins' | 'checkpoints'> & AsyncDisposable;

export async function openWorld({
  mappings = TWO_MAPPINGS,
  storeKind = 'kind: files, path: ./store',
  more = '',
  logger,
  cluster: clusterOptions = {},
  openAudit,
}: WorldOptions = {}): Promise<World> {
  let sectionsNow = more;
  const configured = async (targets: string | readonly Mapping[]): Promise<Config> =>
    typeof targets === 'string' ? fromYaml(targets) : { ...(await fromYaml(DB_ONLY)), mappings: targets };
  const fromYaml = (wanted: string) =>
    configOf(`apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ { name: vault, ${storeKind} } ]
${sectionsNow}
mappings:${wanted}`);
  let config = await configured(mappings);
  const clock = createManualTime();
  const cluster = createMemoryCluster(clusterOptions);
  const changes: string[] = [];
  const witnessed = faulty('cluster', cluster, ({ call, phase }) => {
    const last = cluster.writes.at(-1);
    if (phase !== 'after' || !/create|replace|merge/.test(call) || last === undefined) return;
    const metadata = objectIn(cluster.raw(last.id) ?? {}, 'metadata');
    changes.push(`${last.id.secret} ${String(metadata?.resourceVersion)}`);
  });
  const { store, provider } = createFakeStore();
  store.put('db', '{"user":"ann","password":"first"}');
  store.put('token', 'tok');
  const fingerprints = createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7)));
  const definitions = new Map([['vault', 'definition']]);
  const log = createMemoryAudit({
    instance: config.instance,
    replica: 'nobody',
    clock,
    keys: RECORD_KEYS,
  });
  let processes = 0;

  async function start(watch: Watch = () => undefined, request?: string): Promise<Process> {
    processes += 1;
    const current = config;
    const unresolvedIntents = createUnresolvedIntents();
    let targets = unresolvedTargets(current.mappings);
    const defaultRequestId = `request-${processes}`;
    const own = await openAudit?.(`process-${processes}`, clock);
    const memory = log.another(`process-${processes}`);
    const audit = faulty('audit', own?.audit ?? memory, watch);
    const watched = faulty('cluster', witnessed, watch);
    const opened = faulty('store', provider, watch);
    const instances = [config.instance, ...config.formerInstances];
    const approvalLog = createApprovalLog({
      ...{ audit, keys: RECORD_KEYS, instances, now: () => clock.now(), maxAgeMs: () => 30 * 86_400_000 },
    });
    const pins = own?.pins ?? pinsOf(audit, [config.instance, ...config.formerInstances]);
    const app: App = {
      config,
      clock,
      logger: logger ?? silentLogger,
      audit,
      storedAudit: own?.storedAudit ?? audit,
      recordKeys: RECORD_KEYS,
      sealer: SEALER,
      pins,
      approvalLog,
      checkpoints: own?.checkpoints,
      tracing: noTracing,
      cluster: watched,
      stores: fixedStores(opened, definitions),
      get targets() {
        return targets;
      },
      instances: [config.instance, ...config.formerInstances],
      fingerprints,
      restartOf: () => [],
      unresolvedIntents,
      async resolve() {
        targets = await resolveTargets(current.mappings, watched, undefined);
        return targets;
      },
      async reconfigure() {},
      async createContext({ signal, overridesWindow, ...by } = {}) {
        targets = await resolveTargets(current.mappings, watched, undefined);
        const { actor = { kind: 'cli', name: 'ann' }, requestId = request ?? defaultRequestId } = by;
        const recorder = new AuditRecorder({
          audit: withSingleUse(audit, { log: approvalLog, clock }),
          actor,
          requestId,
          fingerprints,
          stores: definitions,
          instances: [config.instance, ...config.formerInstances],
          clock,
          unresolvedIntents,
        });
        const approvalsFor = (id: string) =>
          createApprovalGate({
            ...{ audit, log: approvalLog, rules: () => current.approvals, clock, actor, requestId: id },
          });
        const readers = createSourceReaders({ open: async () => opened, now: () => clock.now(), signal });
        const options: ReaderOptions = {
          onRead: (source, result) => recorder.read(source, result),
          signal,
        };
        const reader = readers.reader(options);
        const readingWith = ({ read, recorded, find }: SourceReader) => ({
          read,
          whenRecorded: recorded,
          find,
        });
        return {
          expect: reader.expect,
          versions: reader.versions,
          forRun: (run) => ({
            ...readingWith(reader.since(run.readAfter)),
            recorder: recorder.forRepetition(run.requestId),
            approvals: approvalsFor(run.requestId),
          }),
          instance: config.instance,
          formerInstances: config.formerInstances,
          cluster: watched,
          fingerprints,
          stores: definitions,
          clock,
          recorder,
          actor,
          approvals: approvalsFor(requestId),
          windows: {
            waitsUntil: (change) =>
              overridesWindow?.(change) ? undefined : waitsUntil(current.windows, change, clock.now()),
          },
          isDesired: desiredIndex(targets),
          records: createRecordLookup(audit, {
            instances: [config.instance, ...config.formerInstances],
            pins,
            stores: definitions,
            absence: (store) => absenceRuleOf(config, store),
          }),
          ...readingWith(reader),
          allows: () => true,
          allowsSearch: () => true,
        };
      },
      async [Symbol.asyncDispose]() {
        await memory[Symbol.asyncDispose]();
        await own?.[Symbol.asyncDispose]();
      },
    };
    return {
      app,
      sync: (options) => syncTargets(app, options),
      [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
    };
  }

  return {
    cluster,
    store,
    clock,
    changes,
    async configure(wanted, sections = sectionsNow) {
      sectionsNow = sections;
      config = await configured(wanted);
    },
    start,
    async sync(watch, options) {
      await using process = await start(watch);
      return await process.sync(options);
    },
    get records() {
      return log.records;
    },
    story: (after = 0) => log.records.slice(after).map(line),
    chain: async () => verify(log.storedRecords(1), { until: await log.head() }),
  };
}

async function configOf(text: string): Promise<Config> {
  const loaded = await loadText(text);
  if (loaded.kind === 'invalid') throw new Error(linesOf(loaded).join('\n'));
  return loaded.config;
}

/** `<action> [intent|outcome] <subject> <outcome> [code]`. */
function line({ action, phase, secret, store, key, outcome, code, note }: AuditRecord): string {
  const what = secret ?? (store === undefined ? note : `${store}:${key}`);
  return [action, phase, what, outcome, code].filter((part) => part !== undefined).join(' ');
}

function createFakeStore(): { store: FakeStore; provider: SecretProvider } {
  const results = new Map<string, ReadResult>();
  const reads: string[] = [];
  const searches: string[] = [];
  const tags = new Map<string, Readonly<Record<string, string>>>();
  const unlisted = new Set<string>();
  /** Maps each key and version to the value. */
  const kept = new Map<string, ReadResult>();
  const versionOf = (key: string, version: string): ReadResult =>
    kept.get(`${key}@${version}`) ?? { kind: 'failed', error: new AppError('VERSION_GONE') };
  let searchError: AppError | undefined;
  return {
    store: {
      reads,
      searches,
      tag: (key, keyTags) => void tags.set(key, keyTags),
      listed: (key, isListed) => void (isListed ? unlisted.delete(key) : unlisted.add(key)),
      failSearches(error) {
        searchError = error;
      },
      put(key, text, version = '1', createdAt) {
        const value = SecretValue.fromText(text);
        const found: ReadResult = { kind: 'found', value, version, ...(createdAt && { createdAt }) };
        results.set(key, found);
        kept.set(`${key}@${version}`, found);
      },
      purge: (key, version) => void kept.delete(`${key}@${version}`),
      absent: (key) => void results.set(key, { kind: 'absent' }),
      fail: (key, error) => void results.set(key, { kind: 'failed', error }),
    },
    provider: {
      async read(refs) {
        reads.push(...refs.map(({ key, version }) => (version === undefined ? key : `${key}@${version}`)));
        return refs.map(({ key, version }) =>
          version === undefined ? (results.get(key) ?? { kind: 'absent' }) : versionOf(key, version),
        );
      },
      versions: async (keys) => keys.map(() => ({ kind: 'unknown' })),
      async find(query) {
        searches.push(JSON.stringify(query));
        if (searchError !== undefined) throw searchError;
        const prefix = query.path === '' ? '' : `${query.path.replace(/\/+$/, '')}/`;
        return [...results]
          .filter(([key, { kind }]) => kind !== 'absent' && key.startsWith(prefix) && !unlisted.has(key))
          .filter(([key]) =>
            Object.entries(query.tags).every(([name, value]) => tags.get(key)?.[name] === value),
          )
          .map(([key]) => key)
          .sort();
      },
      check: async () => [{ name: 'reach' }],
      async probe() {},
      [Symbol.asyncDispose]: async () => undefined,
    },
  };
}

/** A logger that keeps its messages for assertions. */
export function recordingLogger(): Logger & { readonly lines: { level: string; fields: LogFields }[] } {
  const lines: { level: string; fields: LogFields }[] = [];
  const at =
    (level: string) =>
    (_: string, fields: LogFields = {}) =>
      void lines.push({ level, fields });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

export const base64 = (text: string) => Buffer.from(text).toString('base64');

/** Opens a world with one mapping. */
export const openDb = () => openWorld({ mappings: DB_ONLY });

/** Runs a sync and returns the outcome of the only target. */
export const syncOnly = async (world: World) => (await world.sync()).targets[0];
