import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { ReadCredential } from '../providers/credentials.ts';
import { createHourlyCounter, type HourlyCounter } from '../providers/hourly-counter.ts';
import {
  createManagedStore,
  type ManagedStore,
  type ManagedStoreDeps,
  type StoreState,
} from '../providers/managed-store.ts';
import type { CallReport } from '../providers/policy.ts';
import type { ProviderDefinition, ProviderDeps, SecretProvider } from '../providers/provider.ts';
import type { ChosenStrategy } from '../providers/read-strategy.ts';
import { createProvider, identityOf, PROVIDERS } from '../providers/registry.ts';
import type { AbsenceRule } from '../reconcile/failed-reads.ts';
import { shortHash } from '../sync/ownership-metadata.ts';
import { createStoreFacade } from './store-facade.ts';

export interface Stores extends AsyncDisposable {
  /**
   * Opens a provider on first use, with one login per store. The returned provider stays valid: each call uses the
   * current configuration of the store. @throws AppError
   */
  open(name: string): Promise<SecretProvider>;
  /** For each store name, a hash of the settings that identify the store. */
  readonly definitions: ReadonlyMap<string, string>;
  /**
   * Marks a store whose credentials have changed, so that the store is opened again at its next use. Running calls can
   * finish.
   */
  reset(name: string): void;
  /** Replaces the configured stores. Unchanged stores stay open. */
  reconfigure(configs: Config['stores']): void;
  /** Returns the state of a store, as far as this process knows it. The state is `up` before the first request. */
  state(name: string): StoreState;
  /** Returns how this process has used a store. Undefined before the first request. */
  usage(name: string): StoreUsage | undefined;
  /** Registers a listener that is called at the end of each request, with the name of the store. */
  onAnswer(listener: (name: string) => void): void;
  /**
   * Registers a listener that is called when a store answers again after it was `down`. The listener is not called
   * after the state `degraded`: such a store may be throttling requests, and must not receive all waiting requests at
   * the same time.
   */
  onRecovered(listener: (name: string) => void): void;
}

export interface StoreUsage {
  /** Number of requests within the last hour. */
  readonly lastHour: number;
  /** The last read strategy for each group of keys. The number of keys identifies the group. */
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
  readonly credential: ReadCredential;
  readonly observe?: StoreObserver;
  /** A provider factory for tests. */
  readonly create?: (config: StoreConfig, deps: ProviderDeps) => Promise<SecretProvider>;
}

type StoreConfig = Config['stores'][number];

export function createStores(configs: Config['stores'], deps: StoresDeps): Stores {
  return new StoreRegistry(configs, deps);
}

const UP: StoreState = { state: 'up', breakerOpen: false };

class StoreRegistry implements Stores {
  readonly #deps: StoresDeps;
  #byName: ReadonlyMap<string, StoreConfig>;
  #definitions: ReadonlyMap<string, string>;
  readonly #open = new Map<string, ManagedStore>();
  readonly #retiring = new Map<ManagedStore, Promise<unknown>>();
  readonly #reported = new Map<string, StoreState>();
  readonly #calls = new Map<string, HourlyCounter>();
  readonly #strategies = new Map<string, Map<number, ChosenStrategy>>();
  /** For each store that was reopened, the time of its last success before it was reopened. */
  readonly #successes = new Map<string, number>();
  readonly #answerListeners: ((name: string) => void)[] = [];
  readonly #recoveryListeners: ((name: string) => void)[] = [];
  #isClosed = false;

  constructor(configs: Config['stores'], deps: StoresDeps) {
    this.#deps = deps;
    this.#byName = indexOf(configs);
    this.#definitions = definitionsOf(configs);
  }

  async open(name: string): Promise<SecretProvider> {
    await this.#store(name).open();
    return createStoreFacade(() => this.#store(name));
  }

  get definitions(): ReadonlyMap<string, string> {
    return this.#definitions;
  }

  reset(name: string): void {
    const store = this.#open.get(name);
    if (store === undefined) return;
    const { lastSuccess } = store.state();
    if (lastSuccess !== undefined) this.#successes.set(name, lastSuccess);
    this.#open.delete(name);
    // Ignore a failed close.
    const closed = Promise.allSettled([store.retire()]).then(() => this.#retiring.delete(store));
    this.#retiring.set(store, closed);
  }

  reconfigure(next: Config['stores']): void {
    const before = this.#byName;
    this.#byName = indexOf(next);
    this.#definitions = definitionsOf(next);
    for (const [name, config] of before) {
      if (isDeepStrictEqual(this.#byName.get(name), config)) continue;
      this.reset(name);
      for (const perStore of [this.#strategies, this.#successes]) perStore.delete(name);
      if (!this.#byName.has(name))
        for (const perStore of [this.#reported, this.#calls]) perStore.delete(name);
    }
  }

  state(name: string): StoreState {
    const lastSuccess = this.#successes.get(name);
    const now = this.#open.get(name)?.state() ?? UP;
    // A store with new credentials is still the same store, so keep the time of its last success.
    return lastSuccess === undefined ? now : { lastSuccess, ...now };
  }

  usage(name: string): StoreUsage | undefined {
    const count = this.#calls.get(name);
    return count && { lastHour: count.count, ways: [...(this.#strategies.get(name)?.values() ?? [])] };
  }

  onAnswer(listener: (name: string) => void): void {
    this.#answerListeners.push(listener);
  }

  onRecovered(listener: (name: string) => void): void {
    this.#recoveryListeners.push(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const all = [...this.#open.values(), ...this.#retiring.keys()];
    this.#open.clear();
    // Close the stores in parallel, because closing a store may wait for an answer of its server.
    await Promise.all(all.map((store) => store[Symbol.asyncDispose]()));
  }

  #store(name: string): ManagedStore {
    const existing = this.#open.get(name);
    if (existing !== undefined) return existing;
    // Without this check, a job that is still running would log in again. If the store did not answer, the process
    // could not exit.
    if (this.#isClosed) throw new AppError('INTERRUPTED', { detail: 'the store was closed' });
    const config = this.#byName.get(name);
    if (config === undefined)
      throw new AppError('INTERNAL', { subject: `store ${name}`, detail: 'it is not configured' });
    const store = this.#createStore(config);
    this.#open.set(name, store);
    return store;
  }

  #createStore(config: StoreConfig): ManagedStore {
    const { name, limits } = config;
    const { observe, create = createProvider } = this.#deps;
    const store: ManagedStore = createManagedStore({
      ...this.#deps,
      name,
      limits,
      create: (providerDeps) => create(config, providerDeps),
      onCall: (report) => {
        this.#countCall(name);
        observe?.onCall({ store: name, ...report });
        for (const listener of this.#answerListeners) listener(name);
      },
      onStrategy: (taken) => this.#strategies.set(name, addStrategy(this.#strategies.get(name), taken)),
      onRenewal: (error) =>
        error === undefined ? observe?.onProgress?.(name) : observe?.onProgress?.(name, error),
      onChange: () => {
        // Do not report the change if the store was closed or replaced while a call was running.
        if (this.#open.get(name) === store) this.#reportState(name, store.state());
      },
    });
    return store;
  }

  #countCall(name: string): void {
    const count = this.#calls.get(name) ?? createHourlyCounter(this.#deps.clock);
    this.#calls.set(name, count);
    count.add();
  }

  #reportState(name: string, now: StoreState): void {
    const { observe } = this.#deps;
    const { state, error } = now;
    const before = this.#reported.get(name) ?? UP;
    if (before.state === state && before.error?.code === error?.code) return;
    this.#reported.set(name, now);
    if (error === undefined) observe?.onState(name, state);
    else observe?.onState(name, state, error);
    if (before.state === 'down' && state !== 'down')
      for (const listener of this.#recoveryListeners) listener(name);
  }
}

/**
 * The maximum number of remembered strategies for each store. Each refresh interval of a store has its own group of
 * keys, and each group has one strategy. The limit leaves space for a few groups that no longer exist.
 */
const MAX_STRATEGIES = 16;

function addStrategy(
  before: ReadonlyMap<number, ChosenStrategy> | undefined,
  taken: ChosenStrategy,
): Map<number, ChosenStrategy> {
  const others = [...(before ?? [])].filter(([keys]) => keys !== taken.keys);
  return new Map([...others.slice(1 - MAX_STRATEGIES), [taken.keys, taken]]);
}

function indexOf(configs: Config['stores']): ReadonlyMap<string, StoreConfig> {
  return new Map(configs.map((config) => [config.name, config]));
}

/**
 * Returns the names that refer to a different store than in the previous configuration. If a value was read under such
 * a name before the change, it is no longer valid.
 */
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
 * Returns the capabilities of a configured store, which depend only on the kind of the store. Undefined if the store is
 * not configured.
 */
export function capabilitiesOf(
  { stores }: Pick<Config, 'stores'>,
  store: string,
): ProviderDefinition['can'] | undefined {
  const kind = stores.find(({ name }) => name === store)?.kind;
  return kind === undefined ? undefined : PROVIDERS[kind]?.can;
}

/** Returns how an absence in a store is proved. A store that is not configured has no lag. */
export function absenceRuleOf(
  { absence: { readings, overMs }, stores }: Pick<Config, 'absence' | 'stores'>,
  store: string,
): AbsenceRule {
  const kind = stores.find(({ name }) => name === store)?.kind;
  const deletionLagMs = (kind === undefined ? undefined : PROVIDERS[kind]?.deletionLagMs) ?? 0;
  return { readings, overMs: Math.max(overMs, deletionLagMs), deletionLagMs };
}
