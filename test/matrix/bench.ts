import { randomUUID } from 'node:crypto';
import type { App } from '../../src/app/app.ts';
import { absenceRuleOf, createStores } from '../../src/app/stores.ts';
import { printReport } from '../../src/cli/sync-report.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { type SyncReport, syncTargets } from '../../src/commands/sync.ts';
import type { Config } from '../../src/config/config.ts';
import type { Problem } from '../../src/config/problem.ts';
import { createAccess } from '../../src/config/shape/access.ts';
import { createFingerprinter, type Fingerprinter } from '../../src/core/fingerprint.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { noTracing } from '../../src/core/tracer.ts';
import { resolveCredential } from '../../src/providers/credentials.ts';
import { createStorePolicy } from '../../src/providers/policy.ts';
import type { SecretProvider } from '../../src/providers/provider.ts';
import { createProvider } from '../../src/providers/registry.ts';
import {
  createSourceReaders,
  type ReaderOptions,
  type SourceReader,
} from '../../src/providers/source-reader.ts';
import type { Deadline } from '../../src/providers/timing.ts';
import { NO_APPROVALS } from '../../src/reconcile/approvals.ts';
import { AuditRecorder } from '../../src/reconcile/audit-recorder.ts';
import { createUnresolvedIntents } from '../../src/reconcile/change.ts';
import { NO_WINDOWS } from '../../src/reconcile/guard.ts';
import { createRecordLookup } from '../../src/reconcile/record-lookup.ts';
import { desiredIndex, resolveTargets, unresolvedTargets } from '../../src/reconcile/targets.ts';
import { createLogger } from '../../src/telemetry/logger.ts';
import { Collector, quietContext } from '../cli/harness.ts';
import { linesOf, loadText } from '../config/memory-fs.ts';
import { everythingIn } from '../conformance/provider.ts';
import { createManualTime, type ManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { createMemoryCluster, type MemoryCluster } from '../fakes/memory-cluster.ts';
import { pinsOf, RECORD_KEYS, SEALER } from '../fakes/record-keys.ts';
import { fixedStores } from '../fakes/stores.ts';
import { formsOf, type Marker, type Place } from '../leak-search.ts';

export interface BenchOptions {
  /** The store as a JSON entry of `stores`, with the name `s`. */
  readonly store: Readonly<Record<string, unknown>>;
  /** The entries of `mappings` in YAML. */
  readonly mappings: string;
  readonly env: Readonly<Record<string, string>>;
  /** Additional configuration sections in YAML. */
  readonly more?: string;
  readonly deadline?: (ms: number) => Deadline;
  readonly clock?: ManualTime;
}

/** A long-lived process that runs the whole path from a configuration text to the bytes in an in-memory cluster. */
export interface Bench extends AsyncDisposable {
  readonly cluster: MemoryCluster;
  readonly clock: ManualTime;
  /** Replaces the mappings. The next run uses the new ones. */
  configure(mappings: string): Promise<void>;
  sync(): Promise<SyncReport & { readonly exitCode: number }>;
  /**
   * Everything that is visible to users and machines: output at level `debug`, audit records, ownership metadata and
   * errors.
   */
  seen(): Promise<readonly Place[]>;
}

const KEY = new Uint8Array(32).fill(7);

export function benchFingerprints(): Fingerprinter {
  return createFingerprinter(SecretValue.fromBytes(KEY));
}

export async function openBench(options: BenchOptions): Promise<Bench> {
  const { env, clock = createManualTime() } = options;
  let config = await configOf(textOf(options));
  const cluster = createMemoryCluster();
  const log = createMemoryAudit({ instance: config.instance, clock, keys: RECORD_KEYS });
  const fingerprints = benchFingerprints();
  const [stdout, stderr] = [new Collector(), new Collector()];
  const logger = createLogger({ level: 'debug', format: 'json', stream: stderr, clock });
  const errors = new Map<string, string>();
  const credential = (reference: Parameters<typeof resolveCredential>[0]) =>
    resolveCredential(reference, { env });
  await using stack = new AsyncDisposableStack();
  const { definitions } = stack.use(createStores(config.stores, { clock, fingerprints, credential }));
  const provider = stack.use(await openStore());
  const owned = stack.move();

  /** Opens the store without retries, breaker and slowdown, because each case expects the first answer. */
  async function openStore(): Promise<SecretProvider> {
    const [store] = config.stores;
    if (store === undefined) throw new Error('a bench has one store');
    const { deadline } = options;
    const limits = { ...store.limits, requestsPerSecond: 1e6 };
    const { limit } = createStorePolicy({ limits, ...(deadline === undefined ? {} : { deadline }) });
    return createProvider(store, { name: store.name, clock, fingerprints, credential, limit });
  }

  function appOf(): App {
    const unresolvedIntents = createUnresolvedIntents();
    let targets = unresolvedTargets(config.mappings);
    const access = createAccess(config);
    return {
      config,
      clock,
      logger,
      audit: log,
      storedAudit: log,
      recordKeys: RECORD_KEYS,
      sealer: SEALER,
      pins: pinsOf(log, [config.instance]),
      approvalLog: { requests: async () => [] },
      checkpoints: undefined,
      tracing: noTracing,
      cluster,
      stores: fixedStores(provider, definitions),
      get targets() {
        return targets;
      },
      instances: [config.instance],
      fingerprints,
      restartOf: () => [],
      unresolvedIntents,
      async resolve() {
        targets = await resolveTargets(config.mappings, cluster, undefined);
        return targets;
      },
      async reconfigure() {},
      async createContext() {
        targets = await resolveTargets(config.mappings, cluster, undefined);
        const actor = { kind: 'cli', name: 'ann' } as const;
        const requestId = randomUUID();
        const stores = definitions;
        const { instances } = this;
        const recorder = new AuditRecorder({
          audit: log,
          actor,
          requestId,
          fingerprints,
          stores,
          instances,
          clock,
          unresolvedIntents: unresolvedIntents,
        });
        const readers = createSourceReaders({ open: async () => provider, now: () => clock.now() });
        const options: ReaderOptions = {
          onRead: (source, result) => recorder.read(source, result),
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
          forRun: ({ readAfter }) => ({
            ...readingWith(reader.since(readAfter)),
            recorder,
            approvals: NO_APPROVALS,
          }),
          instance: config.instance,
          formerInstances: [],
          cluster,
          fingerprints,
          stores,
          clock,
          recorder,
          actor,
          approvals: NO_APPROVALS,
          windows: NO_WINDOWS,
          isDesired: desiredIndex(targets),
          records: createRecordLookup(log, {
            instances: [config.instance],
            pins: this.pins,
            stores: definitions,
            absence: (store) => absenceRuleOf(config, store),
          }),
          ...readingWith(reader),
          allows: access.allows,
          allowsSearch: access.allowsSearch,
        };
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }

  const context = quietContext({ env, stdout, stderr, clock });
  return {
    cluster,
    clock,
    async configure(mappings) {
      config = await configOf(textOf({ ...options, mappings }));
    },
    async sync() {
      const report = await syncTargets(appOf());
      for (const { error } of report.targets)
        if (error !== undefined && !errors.has(error.message)) errors.set(error.message, everythingIn(error));
      printReport(context, { output: 'human' }, report);
      return { ...report, exitCode: printReport(context, { output: 'json' }, report) };
    },
    async seen() {
      const stored = await Array.fromAsync(log.storedRecords(1));
      const marks = cluster.writes.map(({ id }) =>
        JSON.stringify(objectIn(cluster.raw(id) ?? {}, 'metadata')),
      );
      return [
        { name: 'stdout', bytes: stdout.text },
        { name: 'stderr', bytes: stderr.text },
        { name: 'audit', bytes: JSON.stringify([log.records, stored]) },
        { name: 'metadata', bytes: marks.join('\n') },
        { name: 'errors', bytes: [...errors.values()].join('\n') },
      ];
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function textOf({ store, mappings, more = '' }: Pick<BenchOptions, 'store' | 'mappings' | 'more'>): string {
  return `apiVersion: secretbridge.dev/v1
instance: prod
cluster: { kind: directory, path: ./cluster }
stores: [ ${JSON.stringify(store)} ]
${more}
mappings:${mappings}`;
}

/** Returns the problems that loading a configuration reports. */
export async function problemsOf(options: Parameters<typeof textOf>[0]): Promise<readonly Problem[]> {
  return (await loadText(textOf(options))).problems;
}

const configs = new Map<string, Promise<Config>>();

/** Loads each text only once, because hundreds of runs use the same text. */
function configOf(text: string): Promise<Config> {
  const config = configs.get(text) ?? loadOf(text);
  configs.set(text, config);
  return config;
}

async function loadOf(text: string): Promise<Config> {
  const loaded = await loadText(text);
  if (loaded.kind === 'invalid') throw new Error(linesOf(loaded).join('\n'));
  return loaded.config;
}

/**
 * Like `findLeaks`, but faster. Each of these markers is equal to its `core`, so a search for the `core` in each
 * encoding is enough.
 */
export function leaksIn(places: readonly Place[], markers: readonly Marker[]): readonly string[] {
  return places.flatMap(({ name: placeName, bytes }) => {
    const hay = Buffer.from(bytes);
    return markers.flatMap(({ name, core }) => {
      const needles = new Map(
        formsOf(core).map(([form, needle]) => [needle.toString('latin1'), { form, needle }]),
      );
      return [...needles.values()]
        .filter(({ needle }) => hay.includes(needle))
        .map(({ form }) => `${placeName}: ${name}, ${form}`);
    });
  });
}
