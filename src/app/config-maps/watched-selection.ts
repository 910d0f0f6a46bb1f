import type { Cluster } from '../../cluster/cluster.ts';
import type { ConfigMapPlace, SelectedConfigMaps } from '../../cluster/team-ports.ts';
import { isNamed } from '../../config/files/config-maps.ts';
import { type AppError, toAppError } from '../../core/errors.ts';
import { matches } from '../../core/glob.ts';
import type { LabelSelector } from '../../core/label-selector.ts';
import { createCoalescer } from '../../core/serial-executor.ts';
import { compareText } from '../../core/target.ts';
import type { Timers } from '../../core/timer.ts';
import type { NamespaceFolder } from './folders.ts';
import { WatchedNamespace } from './watched-namespace.ts';

export interface WatchedSelectionDeps {
  readonly cluster: Pick<Cluster, 'watchNamespaces'>;
  readonly maps: SelectedConfigMaps;
  readonly timers: Timers;
  readonly selector: LabelSelector;
  /** Called without a name when all ConfigMaps of the namespace may have changed, and without both for all namespaces. */
  readonly onChange: (namespace?: string, name?: string) => void;
  readonly onMap: (what: 'removed' | 'seen', place: ConfigMapPlace) => void;
}

export interface Wanted {
  readonly globs: readonly string[];
  /** Whether a glob is a pattern. Then new namespaces are found with a watch. */
  readonly findsNamespaces: boolean;
  /** The maximum size of the contents of one namespace. */
  readonly maxBytes: number;
}

/** The ConfigMaps that a selector matches, with one watch for each namespace. So rights can be given by namespace. */
export class WatchedSelection implements AsyncDisposable {
  readonly #deps: WatchedSelectionDeps;
  readonly #folders = new Map<string, WatchedNamespace>();
  #wanted: Wanted = { globs: [], findsNamespaces: false, maxBytes: 0 };
  #found: ReadonlySet<string> = new Set();
  #namespaces: AsyncDisposable | undefined;
  /** The reason why no namespaces were found yet. */
  #error: AppError | undefined;
  #hasFound = Promise.withResolvers<void>();
  #isClosed = false;

  constructor(deps: WatchedSelectionDeps) {
    this.#deps = deps;
  }

  /** Resolves when all namespaces are listed. */
  async follow(wanted: Wanted): Promise<void> {
    const hasOtherSize = wanted.maxBytes !== this.#wanted.maxBytes;
    this.#wanted = wanted;
    if (hasOtherSize) await this.#close([...this.#folders.keys()]);
    this.#watchNamespaces();
    if (wanted.findsNamespaces) await this.#hasFound.promise;
    await this.#update();
    await Promise.all([...this.#folders.values()].map(({ ready }) => ready));
  }

  /** Returns the namespaces that the patterns match. @throws AppError if they are not known */
  namespaces(): readonly string[] {
    if (this.#error !== undefined) throw this.#error;
    return [...this.#found].filter((name) => this.#isWanted(name)).sort(compareText);
  }

  folder(namespace: string): NamespaceFolder | undefined {
    return this.#folders.get(namespace);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#hasFound.resolve();
    await this.#namespaces?.[Symbol.asyncDispose]();
    await this.#close([...this.#folders.keys()]);
  }

  #isWanted(namespace: string): boolean {
    return this.#wanted.globs.some((glob) => matches(glob, namespace));
  }

  #watchNamespaces(): void {
    if (!this.#wanted.findsNamespaces || this.#namespaces !== undefined) return;
    this.#namespaces = this.#deps.cluster.watchNamespaces({
      changed: () => void this.#find(),
      progress: (error) => {
        // Before the first list, nothing is known. Later failures lose nothing.
        if (error !== undefined && this.#found.size === 0) this.#failed(error);
      },
    });
  }

  readonly #find = createCoalescer(async (): Promise<void> => {
    if (this.#isClosed) return;
    try {
      const before = this.#found;
      const failure = this.#error;
      this.#found = new Set((await this.#deps.maps.namespaces()).keys());
      this.#error = undefined;
      await this.#update();
      this.#hasFound.resolve();
      const changed = [...this.#found.symmetricDifference(before)].filter((name) => this.#isWanted(name));
      if (failure !== undefined) this.#deps.onChange();
      for (const namespace of changed) {
        await this.#folders.get(namespace)?.ready;
        this.#deps.onChange(namespace);
      }
    } catch (error) {
      this.#failed(toAppError(error));
    }
  });

  #failed(error: AppError): void {
    if (this.#found.size === 0) this.#error = error;
    this.#hasFound.resolve();
  }

  /** Opens the watches of new namespaces, and closes those of namespaces that are gone. */
  async #update(): Promise<void> {
    if (this.#isClosed) return;
    const named = this.#wanted.globs.filter(isNamed);
    const wanted = new Set([...named, ...[...this.#found].filter((name) => this.#isWanted(name))]);
    for (const namespace of wanted)
      if (!this.#folders.has(namespace)) this.#folders.set(namespace, this.#open(namespace));
    await this.#close([...this.#folders.keys()].filter((namespace) => !wanted.has(namespace)));
  }

  #open(namespace: string): WatchedNamespace {
    const { maps, timers, selector, onChange, onMap } = this.#deps;
    return new WatchedNamespace({
      ...{ maps, timers },
      scope: { namespace, selector },
      maxBytes: this.#wanted.maxBytes,
      onChange: (name) => onChange(namespace, name),
      onMap: (what, name) => onMap(what, { namespace, name }),
    });
  }

  async #close(namespaces: readonly string[]): Promise<void> {
    const closing = namespaces.flatMap((namespace) => this.#folders.get(namespace) ?? []);
    for (const namespace of namespaces) this.#folders.delete(namespace);
    await Promise.all(closing.map((folder) => folder[Symbol.asyncDispose]()));
  }
}
