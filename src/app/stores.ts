import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';
import {
  createStorePolicy,
  type StorePolicy,
  type StorePolicyDeps,
  type StoreState,
  type LoginStatus,
} from '../providers/policy.ts';
import { createHourlyCounter, type HourlyCounter } from '../providers/hourly-counter.ts';
import type { CallReport } from '../providers/limits.ts';
import type { ProviderDeps, ReadResult, SecretProvider, VersionResult } from '../providers/provider.ts';
import { createProvider, identityOf } from '../providers/registry.ts';
import type { ChosenStrategy } from '../providers/read-strategy.ts';
import { shortHash } from '../sync/ownership-metadata.ts';

export interface Stores extends AsyncDisposable {
  /**
   * One provider, and so one login, per store; set up when it is first needed. What it gives stays good: each call goes
   * to the store as it is configured then. @throws AppError
   */
  open(name: string): Promise<SecretProvider>;
  /** Store name to the hash of what says which store that is, as configured now. */
  readonly definitions: ReadonlyMap<string, string>;
  /** The credentials of this store changed: it is opened anew at its next use. Calls under way end as they began. */
  reset(name: string): void;
  /** From now on these are the stores; those that stay the same go on untouched. */
  reconfigure(configs: Config['stores']): void;
  /** As this process has it; `up` as long as nothing was asked. */
  state(name: string): StoreState;
  /** What this process has asked of it; undefined as long as that was nothing. */
  usage(name: string): StoreUsage | undefined;
  /** Told, from now on, of each request that has ended, by its store. */
  onAnswer(listener: (name: string) => void): void;
}

export interface StoreUsage {
  /** Requests within the last hour. */
  readonly lastHour: number;
  /** How its keys were last looked at for changes, one for each number of keys. */
  readonly ways: readonly ChosenStrategy[];
}

export interface StoreObserver {
  /** Told of each request that was made. */
  onCall(call: CallReport & { readonly store: string }): void;
  /** Told of each change; from `down` to another state whatever waited for the store can go on. */
  onState(store: string, state: StoreState['state'], error?: AppError): void;
  /** Told of each renewal of a login that a timer makes: the only loop that a store has of its own. */
  onProgress?(store: string, error?: AppError): void;
}

export interface StoresDeps extends Pick<StorePolicyDeps, 'sleep' | 'wake' | 'deadline' | 'random'> {
  readonly clock: Clock;
  readonly fingerprints: Fingerprinter;
  readonly credential: (reference: Reference) => Promise<SecretValue>;
  readonly observe?: StoreObserver;
  /** Another way to set up a provider, for tests. */
  readonly create?: (config: StoreConfig, deps: ProviderDeps) => Promise<SecretProvider>;
}

type StoreConfig = Config['stores'][number];

export function createStores(configs: Config['stores'], deps: StoresDeps): Stores {
  const { observe, create = createProvider } = deps;
  let byName = indexOf(configs);
  let definitions = definitionsOf(configs);
  const guards = new Map<string, StorePolicy>();
  const retiring = new Map<StorePolicy, Promise<unknown>>();
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
    if (guard === undefined) return; // a call of before ends
    const { state, error } = guard.state();
    const before = reportedStates.get(name) ?? { state: 'up', breakerOpen: false };
    if (before.state === state && before.error?.code === error?.code) return;
    reportedStates.set(name, guard.state());
    if (error === undefined) observe?.onState(name, state);
    else observe?.onState(name, state, error);
  };
  const guardOf = (name: string): StorePolicy => {
    const known = guards.get(name);
    if (known !== undefined) return known;
    // A job that was left behind at the end would log in anew, and keep the process for as long as the store hangs.
    if (isClosed) throw new AppError('INTERRUPTED', { detail: 'the store was closed' });
    const config = byName.get(name);
    if (config === undefined)
      throw new AppError('INTERNAL', { subject: `store ${name}`, detail: 'it is not configured' });
    const guard: StorePolicy = createStorePolicy({
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
    // What does not close well is no longer anybody's.
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
        for (const its of [strategies, successes]) its.delete(name);
        if (!byName.has(name)) for (const its of [reportedStates, calls]) its.delete(name);
      }
    },
    state(name) {
      const lastSuccess = successes.get(name);
      const now = guards.get(name)?.state() ?? { state: 'up', breakerOpen: false };
      // Other credentials, the same store: it was read when it was read.
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
      // Each may wait for its store, which is to cost the end of the process no more than one of them does.
      await Promise.all(all.map((guard) => guard[Symbol.asyncDispose]()));
    },
  };

  function createFacade(guard: () => StorePolicy): SecretProvider {
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
      async [Symbol.asyncDispose]() {}, // it is not its holder's to close
    };
  }
}

/** A store has one group of keys for each interval; a few more stand for those that it had. */
const MAX_STRATEGIES = 16;

function addStrategy(
  before: ReadonlyMap<number, ChosenStrategy> | undefined,
  taken: ChosenStrategy,
): Map<number, ChosenStrategy> {
  const others = [...(before ?? [])].filter(([keys]) => keys !== taken.keys);
  return new Map([...others.slice(1 - MAX_STRATEGIES), [taken.keys, taken]]);
}

/** One key that was answered shows that the store can be read. */
function readVerdict(results: readonly ReadResult[]): LoginStatus {
  if (results.some(({ kind }) => kind !== 'failed')) return 'answered';
  const [first] = results;
  return first?.kind === 'failed' ? first.error : 'unclear';
}

/** These never fail, so that none is known says nothing. */
function versionVerdict(results: readonly VersionResult[]): LoginStatus {
  return results.some(({ kind }) => kind === 'known') ? 'answered' : 'unclear';
}

const alwaysAnswered = (): LoginStatus => 'answered';
/** It comes without a login. */
const alwaysUnclear = (): LoginStatus => 'unclear';

function indexOf(configs: Config['stores']): ReadonlyMap<string, StoreConfig> {
  return new Map(configs.map((config) => [config.name, config]));
}

/** Those that are other stores under their names: what was read from one was never read from the other. */
export function replacedStores(before: Config['stores'], after: Config['stores']): ReadonlySet<string> {
  const definitions = definitionsOf(before);
  const moved = [...definitionsOf(after)].filter(([name, it]) => (definitions.get(name) ?? it) !== it);
  return new Set(moved.map(([name]) => name));
}

function definitionsOf(configs: Config['stores']): ReadonlyMap<string, string> {
  return new Map(
    configs.map((config) => [config.name, shortHash({ kind: config.kind, ...identityOf(config) })]),
  );
}
