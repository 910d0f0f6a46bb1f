import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadResult } from '../core/read-result.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';
import { createHourlyCounter, type HourlyCounter } from '../providers/hourly-counter.ts';
import {
  createManagedStore,
  type LoginStatus,
  type ManagedStore,
  type ManagedStoreDeps,
  type StoreState,
} from '../providers/managed-store.ts';
import type { CallReport } from '../providers/policy.ts';
import type {
  ProviderDefinition,
  ProviderDeps,
  SecretProvider,
  VersionResult,
} from '../providers/provider.ts';
import type { ChosenStrategy } from '../providers/read-strategy.ts';
import { createProvider, identityOf, PROVIDERS } from '../providers/registry.ts';
import { shortHash } from '../sync/ownership-metadata.ts';

export interface Stores extends AsyncDisposable {
  /**
   * Opens a provider on first use, with one login per store. The returned provider stays valid: each call uses the
   * current configuration of the store. @throws AppError
   */
  open(name: string): Promise<SecretProvider>;
  /** The hash of the current identity of each store, by name. */
  readonly definitions: ReadonlyMap<string, string>;
  /** Reopens a store on its next use, because its credentials have changed. Running calls finish. */
  reset(name: string): void;
  /** Replaces the configured stores. Unchanged stores stay open. */
  reconfigure(configs: Config['stores']): void;
  /** Returns the state of a store as seen by this process. `up` before the first request. */
  state(name: string): StoreState;
  /** Returns the requests of this process to a store. Undefined before the first request. */
  usage(name: string): StoreUsage | undefined;
  /** Registers a listener for the end of each request. It is called with the store's name. */
  onAnswer(listener: (name: string) => void): void;
}

export interface StoreUsage {
  /** Number of requests within the last hour. */
  readonly lastHour: number;
  /** The most recent read strategy for each number of keys. */
  readonly ways: readonly ChosenStrategy[];
}

export interface StoreObserver {
  /** Called for each request to a store. */
  onCall(call: CallReport & { readonly store: string }): void;
  /** Called for each change of a store's state. When a store is no longer `down`, waiting work can continue. */
  onState(store: string, state: StoreState['state'], error?: AppError): void;
  /** Called for each scheduled login renewal, which is the only background loop of a store. */
  onProgress?(store: string, error?: AppError): void;
}

export interface StoresDeps extends Pick<ManagedStoreDeps, 'deadline' | 'random'> {
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly observe?: StoreObserver;
  /** A provider factory for tests. */
  readonly create?: (config: StoreConfig, deps: ProviderDeps) => Promise<SecretProvider>;
}

type StoreConfig = Config['stores'][number];

export function createStores(configs: Config['stores'], deps: StoresDeps): Stores {
  const { observe, create = createProvider } = deps;
  let byName = indexOf(configs);
  let definitions = definitionsOf(configs);
  const guards = new Map<string, ManagedStore>();
  const retiring = new Map<ManagedStore, Promise<unknown>>();
  const reportedStates = new Map<string, StoreState>();
  const calls = new Map<string, HourlyCounter>();
  const strategies = new Map<string, Map<number, ChosenStrategy>>();
  const successes = new Map<string, number>();
  const listeners: ((name: string) => void)[] = [];
  let isClosed = false;
  const countOf = (name: string): HourlyCounter => {
    const count = calls.get(name) ?? createHourlyCounter(deps.clock);
    calls.set(name, count);
    return count;
  };

  const reportState = (name: string) => {
    const guard = guards.get(name);
    if (guard === undefined) return; // the store was removed while a call was running
    const { state, error } = guard.state();
    const before = reportedStates.get(name) ?? { state: 'up', breakerOpen: false };
    if (before.state === state && before.error?.code === error?.code) return;
    reportedStates.set(name, guard.state());
    if (error === undefined) observe?.onState(name, state);
    else observe?.onState(name, state, error);
  };
  const guardOf = (name: string): ManagedStore => {
    const existing = guards.get(name);
    if (existing !== undefined) return existing;
    // Without this check, a job that still runs would log in again. If the store hangs, the process could not exit.
    if (isClosed) throw new AppError('INTERRUPTED', { detail: 'the store was closed' });
    const config = byName.get(name);
    if (config === undefined)
      throw new AppError('INTERNAL', { subject: `store ${name}`, detail: 'it is not configured' });
    const guard: ManagedStore = createManagedStore({
      ...deps,
      name,
      limits: config.limits,
      create: (providerDeps) => create(config, providerDeps),
      onCall(report) {
        countOf(name).add();
        observe?.onCall({ store: name, ...report });
        for (const listener of listeners) listener(name);
      },
      onStrategy: (taken) => strategies.set(name, addStrategy(strategies.get(name), taken)),
      onRenewal: (error) =>
        error === undefined ? observe?.onProgress?.(name) : observe?.onProgress?.(name, error),
      onChange: () => {
        if (guards.get(name) === guard) reportState(name);
      },
    });
    guards.set(name, guard);
    return guard;
  };
  const retire = (name: string) => {
    const guard = guards.get(name);
    if (guard === undefined) return;
    const { lastSuccess } = guard.state();
    if (lastSuccess !== undefined) successes.set(name, lastSuccess);
    guards.delete(name);
    // Ignore a failed close.
    const closed = Promise.allSettled([guard.retire()]).then(() => retiring.delete(guard));
    retiring.set(guard, closed);
  };

  return {
    async open(name) {
      await guardOf(name).open();
      return createFacade(() => guardOf(name));
    },
    get definitions() {
      return definitions;
    },
    reset: retire,
    reconfigure(next) {
      const before = byName;
      byName = indexOf(next);
      definitions = definitionsOf(next);
      for (const [name, config] of before) {
        if (isDeepStrictEqual(byName.get(name), config)) continue;
        retire(name);
        for (const perStore of [strategies, successes]) perStore.delete(name);
        if (!byName.has(name)) for (const perStore of [reportedStates, calls]) perStore.delete(name);
      }
    },
    state(name) {
      const lastSuccess = successes.get(name);
      const now = guards.get(name)?.state() ?? { state: 'up', breakerOpen: false };
      // After a change of credentials, the store is the same. So keep its last success.
      return lastSuccess === undefined ? now : { lastSuccess, ...now };
    },
    usage(name) {
      const count = calls.get(name);
      return count && { lastHour: count.count, ways: [...(strategies.get(name)?.values() ?? [])] };
    },
    onAnswer: (listener) => void listeners.push(listener),
    async [Symbol.asyncDispose]() {
      isClosed = true;
      const all = [...guards.values(), ...retiring.keys()];
      guards.clear();
      // Close in parallel, because each may wait for its store.
      await Promise.all(all.map((guard) => guard[Symbol.asyncDispose]()));
    },
  };

  function createFacade(guard: () => ManagedStore): SecretProvider {
    return {
      read: async (refs, call) => guard().use((provider) => provider.read(refs, call), readVerdict),
      versions: async (keys, call) =>
        guard().use((provider) => provider.versions(keys, call), versionVerdict),
      find: async (query, call) => guard().use((provider) => provider.find(query, call), alwaysAnswered),
      check: async (call) =>
        guard().use(
          (provider) => provider.check(call),
          (checks) => checks.find(({ error }) => error !== undefined)?.error ?? 'answered',
        ),
      probe: async (call) => guard().use((provider) => provider.probe(call), alwaysUnclear),
      subscribe: async (listener, call) => guard().subscribe(listener, call),
      async [Symbol.asyncDispose]() {}, // the provider is shared, so its users must not close it
    };
  }
}

/** Each refresh interval has its own group of keys in a store. The limit also allows for a few earlier groups. */
const MAX_STRATEGIES = 16;

function addStrategy(
  before: ReadonlyMap<number, ChosenStrategy> | undefined,
  taken: ChosenStrategy,
): Map<number, ChosenStrategy> {
  const others = [...(before ?? [])].filter(([keys]) => keys !== taken.keys);
  return new Map([...others.slice(1 - MAX_STRATEGIES), [taken.keys, taken]]);
}

/** If the store answered for a single key, the login works. */
function readVerdict(results: readonly ReadResult[]): LoginStatus {
  if (results.some(({ kind }) => kind !== 'failed')) return 'answered';
  const [first] = results;
  return first?.kind === 'failed' ? first.error : 'unclear';
}

/** Version lookups never report failures, so an empty result proves nothing. */
function versionVerdict(results: readonly VersionResult[]): LoginStatus {
  return results.some(({ kind }) => kind === 'known') ? 'answered' : 'unclear';
}

const alwaysAnswered = (): LoginStatus => 'answered';
/** A probe needs no login, so its success proves nothing about the login. */
const alwaysUnclear = (): LoginStatus => 'unclear';

function indexOf(configs: Config['stores']): ReadonlyMap<string, StoreConfig> {
  return new Map(configs.map((config) => [config.name, config]));
}

/** Returns the stores whose name now refers to a different store. Earlier reads of that name are no longer valid. */
export function replacedStores(before: Config['stores'], after: Config['stores']): ReadonlySet<string> {
  const definitions = definitionsOf(before);
  const replaced = [...definitionsOf(after)].filter(
    ([name, definition]) => (definitions.get(name) ?? definition) !== definition,
  );
  return new Set(replaced.map(([name]) => name));
}

function definitionsOf(configs: Config['stores']): ReadonlyMap<string, string> {
  return new Map(
    configs.map((config) => [config.name, shortHash({ kind: config.kind, ...identityOf(config) })]),
  );
}

/**
 * Returns the capabilities of a configured store, which depend on its kind. Undefined if the store is not configured.
 */
export function capabilitiesOf(
  { stores }: Pick<Config, 'stores'>,
  store: string,
): ProviderDefinition['can'] | undefined {
  const kind = stores.find(({ name }) => name === store)?.kind;
  return kind === undefined ? undefined : PROVIDERS[kind]?.can;
}
