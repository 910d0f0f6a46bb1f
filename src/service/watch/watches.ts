import type { Cluster, SecretMeta, WatchHandlers, WatchScope } from '../../cluster/cluster.ts';
import type { AppError } from '../../core/errors.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import { type StartTimer, startBackgroundTimer } from '../../core/timer.ts';
import type { DesiredTarget } from '../../reconcile/targets.ts';
import type { Loop, Loops } from '../liveness/loops.ts';
import { ArrivalBatch } from './arrival-batch.ts';
import type { WatchErrors } from './watch-errors.ts';

export interface WatchListener {
  changed(meta: SecretMeta): void;
  deleted(target: TargetId): void;
  /** Called when the scopes were listed completely. If a target in these scopes has no metadata, it does not exist. */
  listed(scopes: readonly WatchScope[]): void;
  namespacesChanged(): void;
}

interface WatchesDeps {
  readonly cluster: Pick<Cluster, 'watch' | 'watchNamespaces'>;
  /** With `names`, each target has its own watch, so that permissions can be limited to the names of the Secrets. */
  readonly scope: 'namespace' | 'names';
  readonly loops: Loops;
  /** Starts a timer. Default: system timers. */
  readonly wake?: StartTimer | undefined;
}

/** The receivers of what the watches report. */
export interface WatchReceivers {
  readonly listener: WatchListener;
  readonly errors: Pick<WatchErrors, 'note' | 'forget'>;
}

interface WatchContext extends WatchesDeps, WatchReceivers {
  readonly firstLists: ArrivalBatch<WatchScope>;
}

/**
 * A watch without progress for this time counts as stalled. The time is longer than 150 s, after which a watch replaces
 * a silent connection.
 */
const DEADLINE_MS = 270_000;

/**
 * The first lists of several watches are combined for at most this time. Then the targets of one mapping run
 * consecutively and share cached values.
 */
const COALESCE_MS = 500;

/** Maintains one watch for each wanted namespace, or for each wanted target. */
export class Watches implements AsyncDisposable {
  readonly #deps: WatchesDeps;
  /** Keyed by name. */
  readonly #scopes = new Map<string, ScopeWatch>();
  readonly #ending = new Set<Promise<void>>();
  #context: WatchContext | undefined;
  #namespaces: NamespacesWatch | undefined;
  #closed = false;

  constructor(deps: WatchesDeps) {
    this.#deps = deps;
  }

  /** Sets the receivers. Call it once, before `follow`. */
  start(receivers: WatchReceivers): void {
    const { wake = startBackgroundTimer } = this.#deps;
    const deliver = (scopes: readonly WatchScope[]) => receivers.listener.listed(scopes);
    const firstLists = new ArrivalBatch({ maxWaitMs: COALESCE_MS, wake, deliver });
    this.#context = { ...this.#deps, ...receivers, firstLists };
  }

  /**
   * Watches the scopes of these targets and closes all other watches.
   *
   * @param selects Whether a mapping uses a namespace selector, even if the selector matches no namespace now.
   */
  follow(desired: readonly DesiredTarget[], selects = desired.some(isSelected)): void {
    if (this.#closed || this.#context === undefined) return;
    const context = this.#context;
    this.#followNamespaces(selects, context);
    const resolved = desired.filter(({ error }) => error === undefined).map(({ id }) => id);
    const wanted = Map.groupBy(resolved, (id) => nameOf(this.#scopeOf(id)));
    for (const [name, watch] of this.#scopes) if (!wanted.has(name)) this.#closeScope(name, watch);
    for (const [name, ids] of wanted) this.#followScope(name, ids, context);
  }

  /** Whether the watch for this target has received its first list. */
  isListed(target: TargetId): boolean {
    return this.#scopes.get(nameOf(this.#scopeOf(target)))?.isListed ?? false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#context?.firstLists[Symbol.dispose]();
    for (const [name, watch] of this.#scopes) this.#closeScope(name, watch);
    this.#followNamespaces(false, this.#context);
    await Promise.all(this.#ending);
  }

  #scopeOf({ namespace, secret }: TargetId): WatchScope {
    return this.#deps.scope === 'names' ? { namespace, secret } : { namespace };
  }

  #followScope(name: string, ids: readonly TargetId[], context: WatchContext): void {
    const [first] = ids;
    if (first === undefined) return;
    const names = new Set(ids.map(({ secret }) => secret));
    const before = this.#scopes.get(name);
    if (before?.select(names)) return;
    // End the old watch without reporting its end, so that its error stays until the new watch works.
    if (before !== undefined) this.#end(before);
    const secrets = { names, seen: before?.seen ?? new Set<string>() };
    this.#scopes.set(name, new ScopeWatch(context, this.#scopeOf(first), secrets));
  }

  #closeScope(name: string, watch: ScopeWatch): void {
    this.#end(watch);
    this.#scopes.delete(name);
    this.#context?.errors.forget(name);
  }

  #followNamespaces(isWanted: boolean, context: WatchContext | undefined): void {
    if (isWanted === (this.#namespaces !== undefined)) return;
    if (context === undefined) return;
    if (this.#namespaces === undefined) {
      this.#namespaces = new NamespacesWatch(context);
      return;
    }
    this.#end(this.#namespaces);
    this.#namespaces = undefined;
    context.errors.forget(NAMESPACES);
  }

  #end(watch: ScopeWatch | NamespacesWatch): void {
    const ended = watch[Symbol.asyncDispose]().finally(() => this.#ending.delete(ended));
    this.#ending.add(ended);
  }
}

interface WantedSecrets {
  /** The names of the wanted Secrets. */
  readonly names: ReadonlySet<string>;
  /** The names of the wanted Secrets that existed when the previous watch of the scope ended. */
  readonly seen: Set<string>;
}

/** Watches the wanted Secrets of one scope. */
class ScopeWatch implements AsyncDisposable {
  /** The names of the wanted Secrets that exist. */
  readonly seen: Set<string>;
  readonly #scope: WatchScope;
  readonly #context: WatchContext;
  readonly #stopExpecting: () => void;
  readonly #loop: Loop;
  readonly #watch: AsyncDisposable;
  /** The names of the Secrets that exist but are not wanted. */
  readonly #others = new Set<string>();
  #names: ReadonlySet<string>;
  #isListed = false;
  /** A closed watch ignores its events. */
  #closed = false;

  constructor(context: WatchContext, scope: WatchScope, { names, seen }: WantedSecrets) {
    this.#context = context;
    this.#scope = scope;
    this.#names = names;
    this.seen = seen;
    this.#loop = context.loops.begin(`watch ${nameOf(scope)}`, DEADLINE_MS);
    this.#stopExpecting = context.firstLists.expect();
    this.#watch = context.cluster.watch(scope, this.#handlers());
  }

  get isListed(): boolean {
    return this.#isListed;
  }

  /**
   * Continues with other wanted Secrets. Returns false if one of them exists but was not wanted before. The metadata of
   * such a Secret was not kept, so a new watch must list it.
   */
  select(names: ReadonlySet<string>): boolean {
    if (!names.isDisjointFrom(this.#others)) return false;
    for (const secret of this.seen) if (!names.has(secret)) this.#others.add(secret);
    this.#names = names;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#stopExpecting();
    this.#loop.end();
    await this.#watch[Symbol.asyncDispose]();
  }

  #handlers(): WatchHandlers {
    return {
      isOfInterest: (secret) => this.#names.has(secret),
      listed: (metas) => this.#listed(metas),
      changed: (meta) => this.#changed(meta),
      deleted: (id) => this.#deleted(id),
      progress: (error) => this.#progress(error),
    };
  }

  #listed(metas: readonly SecretMeta[]): void {
    if (this.#closed) return;
    this.#others.clear();
    const listed = new Set(metas.map(({ id }) => id.secret));
    const { namespace } = this.#scope;
    for (const secret of this.seen) if (!listed.has(secret)) this.#deleted({ namespace, secret });
    for (const meta of metas) this.#changed(meta);
    this.#isListed = true;
    this.#context.firstLists.add(this.#scope);
    this.#stopExpecting();
  }

  #changed(meta: SecretMeta): void {
    if (this.#closed) return;
    if (!this.#names.has(meta.id.secret)) {
      this.#others.add(meta.id.secret);
      return;
    }
    this.seen.add(meta.id.secret);
    this.#context.listener.changed(meta);
  }

  #deleted(id: TargetId): void {
    if (this.#closed) return;
    this.#others.delete(id.secret);
    if (this.seen.delete(id.secret)) this.#context.listener.deleted(id);
  }

  #progress(error?: AppError): void {
    if (this.#closed) return;
    this.#loop.beat();
    this.#context.errors.note(nameOf(this.#scope), error);
    if (error !== undefined) this.#stopExpecting();
  }
}

/** The name of the watch in logs and the status. */
const NAMESPACES = 'namespaces';

/** Watches all namespaces. */
class NamespacesWatch implements AsyncDisposable {
  readonly #loop: Loop;
  readonly #watch: AsyncDisposable;
  #closed = false;

  constructor({ cluster, loops, listener, errors }: WatchContext) {
    this.#loop = loops.begin(`watch ${NAMESPACES}`, DEADLINE_MS);
    this.#watch = cluster.watchNamespaces({
      changed: () => {
        if (!this.#closed) listener.namespacesChanged();
      },
      progress: (error) => {
        if (this.#closed) return;
        this.#loop.beat();
        errors.note(NAMESPACES, error);
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#loop.end();
    await this.#watch[Symbol.asyncDispose]();
  }
}

/** The name of the watch in logs and the status. */
function nameOf({ namespace, secret }: WatchScope): string {
  return secret === undefined ? namespace : formatTarget({ namespace, secret });
}

export function isSelected({ mapping }: Pick<DesiredTarget, 'mapping'>): boolean {
  return mapping.target.namespaceSelector !== undefined;
}
