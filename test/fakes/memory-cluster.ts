import { isDeepStrictEqual } from 'node:util';
import type {
  AccessRequest,
  Cluster,
  ConfigMaps,
  Identities,
  SecretMeta,
  WatchScope,
  WriteResult,
} from '../../src/cluster/cluster.ts';
import {
  applyTo,
  compactEntries,
  entriesAfterUpdate,
  withOwnership,
} from '../../src/cluster/field-owners.ts';
import { objectIn } from '../../src/cluster/json.ts';
import { appliedIn, exclusivelyOwnedIn } from '../../src/cluster/managed-fields.ts';
import {
  appliedSecret,
  changedSecret,
  needsRecreation,
  newSecret,
  type RawSecret,
  toLive,
  toMeta,
} from '../../src/cluster/manifest.ts';
import { checkNamespace, checkTarget, selectorOf } from '../../src/cluster/names.ts';
import type { Workloads } from '../../src/cluster/workloads.ts';
import { AppError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { LiveSecret } from '../../src/core/secret.ts';
import { compareText, formatTarget, type TargetId } from '../../src/core/target.ts';
import { type Namespaces, namespacesOf, selectedIn } from './memory-namespaces.ts';
import { createMemoryWatches, createMemoryWriters } from './memory-watches.ts';

type Change = 'create' | 'replace' | 'remove' | 'merge';
type Call = 'read' | Change | 'list' | 'namespaces' | 'ownSecret' | 'may' | 'ping';

export interface MemoryClusterOptions {
  /** The namespaces that exist, with their labels. By default, every namespace exists. */
  readonly namespaces?: readonly string[] | Namespaces;
  readonly ownNamespace?: string;
  readonly inCluster?: boolean;
  readonly allows?: (question: AccessRequest) => boolean;
  readonly identities?: Identities;
  readonly workloads?: Workloads;
  /** Returns the error with which the cluster refuses every write of a Secret, as a quota or a policy does. */
  readonly refuses?: (id: TargetId) => AppError | undefined;
  readonly configMaps?: ConfigMaps;
}

/**
 * The cluster port in memory. For versions, field owners and immutable Secrets, it follows the rules of the API server.
 */
export interface MemoryCluster extends Cluster {
  /** The changes that were applied, in order. */
  readonly writes: readonly { readonly kind: Change; readonly id: TargetId }[];
  /** The number of calls of each method. Calls that failed count too. */
  readonly calls: Readonly<Record<Call, number>>;
  /**
   * Sets the results of the next calls of a method, in order. For an error, the call fails with this error. For
   * `undefined`, the call succeeds.
   */
  fail(call: Call, ...errors: readonly (AppError | undefined)[]): void;
  /** Makes the next write apply its change, but fail with this error. */
  loseAnswer(call: Change, error: AppError): void;
  /** Runs an action just before the next call of a method, as another writer could do at that time. */
  before(call: Call, action: () => void): void;
  /** Creates or replaces a Secret as another writer. */
  put(id: TargetId, raw: JsonObject): void;
  edit(id: TargetId, change: (raw: JsonObject) => JsonObject): void;
  forget(id: TargetId): void;
  /** Sets the labels of a namespace, and creates it if needed. */
  namespace(name: string, labels: Readonly<Record<string, string>>): void;
  /** Marks a namespace as terminating. Nothing can then be created in it. */
  endNamespace(name: string): void;
  /** Makes every watch fail with this error, and then restarts it. */
  interrupt(error: AppError): void;
  /** The scopes of the current watches. */
  readonly watched: readonly WatchScope[];
  /** Returns a Secret in the format of the API server. */
  raw(id: TargetId): RawSecret | undefined;
}

export function createMemoryCluster(options: MemoryClusterOptions = {}): MemoryCluster {
  const objects = new Map<string, RawSecret>();
  const reads = new WeakMap<LiveSecret, RawSecret>();
  const writes: { kind: Change; id: TargetId }[] = [];
  const calls: Record<Call, number> = {
    read: 0,
    create: 0,
    replace: 0,
    remove: 0,
    merge: 0,
    list: 0,
    namespaces: 0,
    ownSecret: 0,
    may: 0,
    ping: 0,
  };
  const existing = new Map(Object.entries(namespacesOf(options.namespaces ?? [])));
  const ending = new Set<string>();
  const faults = new Map<Call, (AppError | undefined)[]>();
  const lost = new Map<Call, AppError[]>();
  const actions = new Map<Call, (() => void)[]>();
  const writers = createMemoryWriters();
  const watches = createMemoryWatches(({ namespace, secret }) =>
    [...objects.keys()]
      .sort(compareText)
      .map((key) => ({ namespace, secret: key.slice(namespace.length + 1), key }))
      .filter(
        (target) => target.key === formatTarget(target) && (secret === undefined || target.secret === secret),
      )
      .map((one) => metaOf({ namespace, secret: one.secret })),
  );
  let version = 0;

  function enter(call: Call, signal?: AbortSignal): void {
    calls[call] += 1;
    if (signal?.aborted)
      throw new AppError('CLUSTER_UNAVAILABLE', { detail: 'cancelled before the API server answered' });
    const error = faults.get(call)?.shift();
    if (error !== undefined) throw error;
    actions.get(call)?.shift()?.();
  }

  function requireAccepted(id: TargetId): void {
    const error = options.refuses?.(id);
    if (error !== undefined) throw error;
  }

  function store(id: TargetId, raw: RawSecret, uid: string, by: 'us' | 'others' = 'others'): string {
    version += 1;
    const metadata = { ...objectIn(raw, 'metadata'), name: id.secret, namespace: id.namespace, uid };
    objects.set(formatTarget(id), { ...raw, metadata: { ...metadata, resourceVersion: `${version}` } });
    const data = Object.entries(objectIn(raw, 'data') ?? {}).map(
      ([key, value]) => [`data/${key}`, value] as const,
    );
    writers.wrote(id, by, new Map([...data, ['type', raw.type], ['immutable', raw.immutable]]));
    watches.changed(metaOf(id));
    return `${version}`;
  }

  function drop(id: TargetId): void {
    if (!objects.delete(formatTarget(id))) return;
    writers.forget(id);
    watches.deleted(id);
  }

  function metaOf(id: TargetId): SecretMeta {
    const meta = toMeta(objects.get(formatTarget(id)) ?? {}, id.namespace);
    if (meta === undefined) throw new Error(`${formatTarget(id)} is not a Secret`);
    const foreign = meta.ours === undefined || writers.of(id, 'others').length > 0;
    const data = writers.of(id, 'us').flatMap((name) => (name.startsWith('data/') ? [name.slice(5)] : []));
    return { ...meta, ours: meta.ours && { ...meta.ours, data: data.sort(compareText) }, foreign };
  }

  function written(kind: 'create' | 'replace' | 'merge', id: TargetId, raw: RawSecret): WriteResult {
    const uid = objects.has(formatTarget(id)) ? uidOf(id) : `uid-${version + 1}`;
    const resourceVersion = store(id, raw, uid, kind === 'merge' ? 'others' : 'us');
    done(kind, id);
    return { kind: 'written', resourceVersion };
  }

  function done(kind: Change, id: TargetId): void {
    writes.push({ kind, id });
    const error = lost.get(kind)?.shift();
    if (error !== undefined) throw error;
  }

  function uidOf(id: TargetId): string {
    return String(objectIn(objects.get(formatTarget(id)) ?? {}, 'metadata')?.uid);
  }

  function rawOf(live: LiveSecret): RawSecret {
    const raw = reads.get(live);
    if (raw !== undefined) return raw;
    throw new AppError('INTERNAL', {
      subject: formatTarget(live.id),
      detail: 'this Secret was not read by this cluster client',
    });
  }

  function read(id: TargetId): LiveSecret | undefined {
    checkTarget(id);
    const raw = objects.get(formatTarget(id));
    const live = raw && toLive(raw, id);
    if (raw !== undefined && live !== undefined) reads.set(live, raw);
    return live;
  }

  const push = <T>(map: Map<Call, T[]>, call: Call, items: readonly T[]) =>
    void map.set(call, [...(map.get(call) ?? []), ...items]);

  return {
    address: 'memory',
    inCluster: options.inCluster ?? false,
    writes,
    calls,
    fail: (call, ...errors) => push(faults, call, errors),
    loseAnswer: (call, error) => push(lost, call, [error]),
    before: (call, action) => push(actions, call, [action]),
    identities: options.identities,
    workloads: options.workloads,
    configMaps: options.configMaps,
    selectedConfigMaps: undefined,
    objectEvents: undefined,
    configMapAnnotations: undefined,
    watch: watches.watch,
    watchNamespaces: watches.watchNamespaces,
    interrupt: watches.interrupt,
    get watched() {
      return watches.scopes;
    },
    put(id, raw) {
      writers.forget(id);
      store(id, { apiVersion: 'v1', kind: 'Secret', ...raw }, `uid-${version + 1}`);
    },
    edit(id, change) {
      const raw = objects.get(formatTarget(id));
      const uid = raw && read(id)?.uid;
      if (raw === undefined || uid === undefined) throw new Error(`${formatTarget(id)} is not there`);
      const changed = change(structuredClone(raw));
      const managedFields = compactEntries(entriesAfterUpdate(raw, changed));
      store(id, { ...changed, metadata: { ...objectIn(changed, 'metadata'), managedFields } }, uid);
    },
    forget: drop,
    namespace(name, labels) {
      existing.set(name, labels);
      watches.namespacesChanged();
    },
    endNamespace(name) {
      ending.add(name);
      watches.namespacesChanged();
    },
    raw: (id) => objects.get(formatTarget(id)),
    async read(id, { signal } = {}) {
      enter('read', signal);
      return read(id);
    },
    async create(id, manifest, { signal, dryRun = false } = {}) {
      checkTarget(id);
      enter('create', signal);
      const isMissingNamespace = options.namespaces !== undefined && !existing.has(id.namespace);
      if (isMissingNamespace || ending.has(id.namespace)) {
        throw new AppError('NAMESPACE_MISSING', { subject: formatTarget(id) });
      }
      requireAccepted(id);
      if (objects.has(formatTarget(id))) return { kind: 'conflict' };
      if (dryRun) return { kind: 'written', resourceVersion: '0' };
      return written('create', id, withOwnership(newSecret(id, manifest)));
    },
    async replace(live, change, { signal, dryRun = false } = {}) {
      enter('replace', signal);
      requireAccepted(live.id);
      const before = rawOf(live);
      const now = read(live.id);
      if (now?.uid !== live.uid || now.resourceVersion !== live.resourceVersion) return { kind: 'conflict' };
      if (needsRecreation(now, change)) throw new AppError('IMMUTABLE', { subject: formatTarget(live.id) });
      if (dryRun) return { kind: 'written', resourceVersion: '0' };
      const raw = changedSecret(before, change);
      // If the new object is identical, write nothing and keep the version, as the API server does.
      if (JSON.stringify(raw) === JSON.stringify(before))
        return { kind: 'written', resourceVersion: now.resourceVersion };
      return written('replace', live.id, withOwnership(raw, before));
    },
    async remove(live, { signal, dryRun = false } = {}) {
      enter('remove', signal);
      const now = read(live.id);
      if (now === undefined) return { kind: 'removed' };
      if (now.uid !== live.uid || now.resourceVersion !== live.resourceVersion) return { kind: 'conflict' };
      if (dryRun) return { kind: 'removed' };
      drop(live.id);
      done('remove', live.id);
      return { kind: 'removed' };
    },
    async merge(live, manifest, { signal, dryRun = false } = {}) {
      enter('merge', signal);
      requireAccepted(live.id);
      const now = read(live.id);
      if (now === undefined) return { kind: 'missing' };
      if (now.uid !== live.uid) return { kind: 'conflict' };
      const before = rawOf(now);
      const merged = applyTo(before, appliedSecret(live, manifest), manifest.manager);
      if (merged.kind === 'conflict') return merged;
      const after = toLive(merged.raw, live.id);
      if (after && needsRecreation(now, after))
        throw new AppError('IMMUTABLE', { subject: formatTarget(live.id) });
      if (dryRun) return { kind: 'written', resourceVersion: '0' };
      if (isDeepStrictEqual(merged.raw, before))
        return { kind: 'written', resourceVersion: now.resourceVersion };
      return written('merge', live.id, merged.raw);
    },
    mergedKeys: (live, manager) => appliedIn(objectIn(rawOf(live), 'metadata') ?? {}, manager).data,
    exclusivelyOwned: (live, managers) =>
      exclusivelyOwnedIn(objectIn(rawOf(live), 'metadata') ?? {}, managers),
    async list(namespace, { name, value }, { signal } = {}) {
      checkNamespace(namespace);
      selectorOf({ matchLabels: { [name]: value } });
      enter('list', signal);
      return [...objects.keys()]
        .filter((key) => key.startsWith(`${namespace}/`))
        .sort(compareText)
        .map((key) => read({ namespace, secret: key.slice(namespace.length + 1) }))
        .filter((live) => live !== undefined)
        .filter(({ labels }) => labels[name] === value);
    },
    async namespaces(selector, { signal } = {}) {
      selectorOf(selector);
      enter('namespaces', signal);
      const used = namespacesOf([...objects.keys()].map((key) => key.slice(0, key.indexOf('/'))));
      const all = { ...used, ...Object.fromEntries(existing) };
      return selectedIn(all, selector).filter((name) => !ending.has(name));
    },
    async ownSecret(name, key) {
      enter('ownSecret');
      if (options.ownNamespace === undefined)
        throw new AppError('CREDENTIAL_MISSING', { detail: 'no own namespace' });
      return read({ namespace: options.ownNamespace, secret: name })?.data.get(key);
    },
    ownNamespace: () => options.ownNamespace,
    async checkAccess(question) {
      enter('may');
      return options.allows?.(question) ?? true;
    },
    async ping() {
      enter('ping');
      return {};
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
