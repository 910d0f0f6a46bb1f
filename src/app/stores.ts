import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Fingerprinter } from '../core/fingerprint.ts';
import type { SecretValue } from '../core/secret-value.ts';
import type { Reference } from '../providers/credentials.ts';
import {
  createGuard,
  type Guard,
  type GuardDeps,
  type StoreState,
  type Verdict,
} from '../providers/guard.ts';
import { createHourly, type Hourly } from '../providers/hourly.ts';
import type { CallReport } from '../providers/limits.ts';
import type { ProviderDeps, ReadResult, SecretProvider, VersionResult } from '../providers/provider.ts';
import { createProvider, identityOf } from '../providers/registry.ts';
import type { WayTaken } from '../providers/ways.ts';
import { shortHash } from '../sync/marks.ts';

export interface Stores extends AsyncDisposable {
  /**
   * One provider, and so one login, per store; set up when it is first needed. What it gives stays good: each call
   * goes to the store as it is configured then. @throws AppError
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
  readonly ways: readonly WayTaken[];
}

export interface StoreObserver {
  /** Told of each request that was made. */
  onCall(call: CallReport & { readonly store: string }): void;
  /** Told of each change; from `down` to another state whatever waited for the store can go on. */
  onState(store: string, state: StoreState['state'], error?: AppError): void;
  /** Told of each renewal of a login that a timer makes: the only loop that a store has of its own. */
  onProgress?(store: string, error?: AppError): void;
}

export interface StoresDeps extends Pick<GuardDeps, 'sleep' | 'wake' | 'deadline' | 'random'> {
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
  const guards = new Map<string, Guard>();
  const retiring = new Map<Guard, Promise<unknown>>();
  const told = new Map<string, StoreState>();
  const calls = new Map<string, Hourly>();
  const ways = new Map<string, Map<number, WayTaken>>();
  const successes = new Map<string, number>();
  const listeners: ((name: string) => void)[] = [];
  let isClosed = false;
  const countOf = (name: string): Hourly => {
    const count = calls.get(name) ?? createHourly(deps.clock);
    calls.set(name, count);
    return count;
  };

  const tell = (name: string) => {
    const guard = guards.get(name);
    if (guard === undefined) return; // a call of before ends
    const { state, error } = guard.state();
    const before = told.get(name) ?? { state: 'up', breakerOpen: false };
    if (before.state === state && before.error?.code === error?.code) return;
    told.set(name, guard.state());
    if (error === undefined) observe?.onState(name, state);
    else observe?.onState(name, state, error);
  };
  const guardOf = (name: string): Guard => {
    const known = guards.get(name);
    if (known !== undefined) return known;
    // A job that was left behind at the end would log in anew, and keep the process for as long as the store hangs.
    if (isClosed) throw new AppError('INTERRUPTED', { detail: 'the store was closed' });
    const config = byName.get(name);
    if (config === undefined)
      throw new AppError('INTERNAL', { about: `store ${name}`, detail: 'it is not configured' });
    const guard: Guard = createGuard({
      ...deps,
      name,
      limits: config.limits,
      create: (providerDeps) => create(config, providerDeps),
      onCall(report) {
        countOf(name).add();
        observe?.onCall({ store: name, ...report });
        for (const listener of listeners) listener(name);
      },
      onWay: (taken) => ways.set(name, newest(ways.get(name), taken)),
      onRenewal: (error) =>
        error === undefined ? observe?.onProgress?.(name) : observe?.onProgress?.(name, error),
      onChange: () => {
        if (guards.get(name) === guard) tell(name);
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
      return facadeOf(() => guardOf(name));
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
        for (const its of [ways, successes]) its.delete(name);
        if (!byName.has(name)) for (const its of [told, calls]) its.delete(name);
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
      return count && { lastHour: count.count, ways: [...(ways.get(name)?.values() ?? [])] };
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

  function facadeOf(guard: () => Guard): SecretProvider {
    return {
      read: async (refs, call) => guard().use((provider) => provider.read(refs, call), ofReads),
      versions: async (keys, call) => guard().use((provider) => provider.versions(keys, call), ofVersions),
      find: async (query, call) => guard().use((provider) => provider.find(query, call), answered),
      check: async (call) =>
        guard().use(
          (provider) => provider.check(call),
          (checks) => checks.find(({ error }) => error !== undefined)?.error ?? 'answered',
        ),
      probe: async (call) => guard().use((provider) => provider.probe(call), unclear),
      subscribe: async (listener, call) => guard().subscribe(listener, call),
      async [Symbol.asyncDispose]() {}, // it is not its holder's to close
    };
  }
}

/** A store has one group of keys for each interval; a few more stand for those that it had. */
const MOST_WAYS = 16;

function newest(before: ReadonlyMap<number, WayTaken> | undefined, taken: WayTaken): Map<number, WayTaken> {
  const others = [...(before ?? [])].filter(([keys]) => keys !== taken.keys);
  return new Map([...others.slice(1 - MOST_WAYS), [taken.keys, taken]]);
}

/** One key that was answered shows that the store can be read. */
function ofReads(results: readonly ReadResult[]): Verdict {
  if (results.some(({ kind }) => kind !== 'failed')) return 'answered';
  const [first] = results;
  return first?.kind === 'failed' ? first.error : 'unclear';
}

/** These never fail, so that none is known says nothing. */
function ofVersions(results: readonly VersionResult[]): Verdict {
  return results.some(({ kind }) => kind === 'known') ? 'answered' : 'unclear';
}

const answered = (): Verdict => 'answered';
/** It comes without a login. */
const unclear = (): Verdict => 'unclear';

function indexOf(configs: Config['stores']): ReadonlyMap<string, StoreConfig> {
  return new Map(configs.map((config) => [config.name, config]));
}

/** Those that are other stores under their names: what was read from one was never read from the other. */
export function movedStores(before: Config['stores'], after: Config['stores']): ReadonlySet<string> {
  const definitions = definitionsOf(before);
  const moved = [...definitionsOf(after)].filter(([name, it]) => (definitions.get(name) ?? it) !== it);
  return new Set(moved.map(([name]) => name));
}

function definitionsOf(configs: Config['stores']): ReadonlyMap<string, string> {
  return new Map(
    configs.map((config) => [config.name, shortHash({ kind: config.kind, ...identityOf(config) })]),
  );
}
