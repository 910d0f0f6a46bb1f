import {
  type AccessQuestion,
  type Cluster,
  FIELD_MANAGER,
  type LiveSecret,
  type WriteResult,
} from '../../src/cluster/cluster.ts';
import { type JsonObject, objectIn } from '../../src/cluster/json.ts';
import { managedFieldsOf, ownershipAfter } from '../../src/cluster/managed-fields.ts';
import {
  changedSecret,
  needsRecreation,
  newSecret,
  type RawSecret,
  toLive,
} from '../../src/cluster/manifest.ts';
import { checkTarget } from '../../src/cluster/names.ts';
import { AppError } from '../../src/core/errors.ts';
import { formatTarget, type TargetId } from '../../src/core/target.ts';

type Call = 'read' | 'create' | 'replace' | 'ownSecret' | 'may' | 'ping';

export interface MemoryClusterOptions {
  /** Namespaces that exist; any does when left out. */
  readonly namespaces?: readonly string[];
  readonly ownNamespace?: string;
  readonly inCluster?: boolean;
  readonly allows?: (question: AccessQuestion) => boolean;
}

/** The port in memory, with the API server's semantics of versions, owners of fields and immutable Secrets. */
export interface MemoryCluster extends Cluster {
  /** Changes that were carried out. */
  readonly writes: readonly { readonly kind: 'create' | 'replace'; readonly id: TargetId }[];
  /** How often each method was called, failed calls included. */
  readonly calls: Readonly<Record<Call, number>>;
  /** Makes the next calls of a method fail, one for each error; `undefined` lets one through. */
  fail(call: Call, ...errors: readonly (AppError | undefined)[]): void;
  /** The write is carried out, and its answer is lost. */
  loseAnswer(call: 'create' | 'replace', error: AppError): void;
  /** Runs just before the next call of a method, for somebody who is faster. */
  before(call: Call, action: () => void): void;
  /** Behind our back, as another writer: creates or replaces. */
  put(id: TargetId, raw: JsonObject): void;
  edit(id: TargetId, change: (raw: JsonObject) => JsonObject): void;
  remove(id: TargetId): void;
  /** The object as an API server would give it. */
  raw(id: TargetId): RawSecret | undefined;
}

export function createMemoryCluster(options: MemoryClusterOptions = {}): MemoryCluster {
  const objects = new Map<string, RawSecret>();
  const reads = new WeakMap<LiveSecret, RawSecret>();
  const writes: { kind: 'create' | 'replace'; id: TargetId }[] = [];
  const calls: Record<Call, number> = { read: 0, create: 0, replace: 0, ownSecret: 0, may: 0, ping: 0 };
  const faults = new Map<Call, (AppError | undefined)[]>();
  const lost = new Map<Call, AppError[]>();
  const actions = new Map<Call, (() => void)[]>();
  let version = 0;

  function enter(call: Call, signal?: AbortSignal): void {
    calls[call] += 1;
    if (signal?.aborted)
      throw new AppError('CLUSTER_UNAVAILABLE', { detail: 'cancelled before it answered' });
    const error = faults.get(call)?.shift();
    if (error !== undefined) throw error;
    actions.get(call)?.shift()?.();
  }

  function store(id: TargetId, raw: RawSecret, uid: string): string {
    version += 1;
    const metadata = { ...objectIn(raw, 'metadata'), name: id.secret, namespace: id.namespace, uid };
    objects.set(formatTarget(id), { ...raw, metadata: { ...metadata, resourceVersion: `${version}` } });
    return `${version}`;
  }

  function written(
    kind: 'create' | 'replace',
    id: TargetId,
    raw: RawSecret,
    before?: LiveSecret,
  ): WriteResult {
    const metadata = objectIn(raw, 'metadata') ?? {};
    const after = {
      labels: objectIn(metadata, 'labels') ?? {},
      annotations: objectIn(metadata, 'annotations') ?? {},
    };
    const ownership = ownershipAfter(before?.ours, before ?? { labels: {}, annotations: {} }, after);
    const managedFields = managedFieldsOf(ownership, FIELD_MANAGER);
    const uid = before?.uid ?? `uid-${version + 1}`;
    const resourceVersion = store(id, { ...raw, metadata: { ...metadata, managedFields } }, uid);
    writes.push({ kind, id });
    const error = lost.get(kind)?.shift();
    if (error !== undefined) throw error;
    return { kind: 'written', resourceVersion };
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
    put: (id, raw) => void store(id, { apiVersion: 'v1', kind: 'Secret', ...raw }, `uid-${version + 1}`),
    edit(id, change) {
      const raw = objects.get(formatTarget(id));
      const uid = raw && read(id)?.uid;
      if (raw === undefined || uid === undefined) throw new Error(`${formatTarget(id)} is not there`);
      store(id, change(structuredClone(raw)), uid);
    },
    remove: (id) => void objects.delete(formatTarget(id)),
    raw: (id) => objects.get(formatTarget(id)),
    async read(id, { signal } = {}) {
      enter('read', signal);
      return read(id);
    },
    async create(id, manifest, { signal, dryRun = false } = {}) {
      checkTarget(id);
      enter('create', signal);
      if (options.namespaces && !options.namespaces.includes(id.namespace)) {
        throw new AppError('NAMESPACE_MISSING', { about: formatTarget(id) });
      }
      if (objects.has(formatTarget(id))) return { kind: 'conflict' };
      if (dryRun) return { kind: 'written', resourceVersion: '0' };
      return written('create', id, newSecret(id, manifest));
    },
    async replace(live, change, { signal } = {}) {
      enter('replace', signal);
      const known = reads.get(live);
      if (known === undefined)
        throw new AppError('INTERNAL', { detail: 'replace of a Secret that was not read here' });
      const now = read(live.id);
      if (now?.uid !== live.uid || now.resourceVersion !== live.resourceVersion) return { kind: 'conflict' };
      if (needsRecreation(now, change)) throw new AppError('IMMUTABLE', { about: formatTarget(live.id) });
      const raw = changedSecret(known, change);
      // As the API server does: the same object again changes nothing, and moves no version.
      if (JSON.stringify(raw) === JSON.stringify(known))
        return { kind: 'written', resourceVersion: now.resourceVersion };
      return written('replace', live.id, raw, now);
    },
    async ownSecret(name, key) {
      enter('ownSecret');
      if (options.ownNamespace === undefined)
        throw new AppError('CREDENTIAL_MISSING', { detail: 'no own namespace' });
      return read({ namespace: options.ownNamespace, secret: name })?.data.get(key);
    },
    ownNamespace: () => options.ownNamespace,
    async may(question) {
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
