import type { Clock } from '../core/clock.ts';
import { AppError } from '../core/errors.ts';
import type { Mapping } from '../core/mapping.ts';
import { createSerialExecutor } from '../core/serial-executor.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import {
  type ConfigChange,
  type ConfigSnapshot,
  desiredIn,
  keepUnresolved,
  type SnapshotChange,
  SnapshotIndex,
} from './config-snapshot.ts';

export interface ConfigurationDeps {
  readonly mappings: () => readonly Mapping[];
  /** Resolves the targets in the namespaces that exist now. */
  readonly resolve: () => Promise<readonly DesiredTarget[]>;
  readonly tellsVersions: (store: string) => boolean;
  /** This clock orders the changes and the runs. */
  readonly steadyClock: Clock;
}

/** The configuration that the runs use: its mappings, with the targets in the namespaces that exist now. */
export class Configuration {
  readonly #deps: ConfigurationDeps;
  /** Resolves once at a time, so that an older result never replaces a newer one. */
  readonly #inTurn = createSerialExecutor();
  readonly #index: SnapshotIndex;
  #isResolved = false;

  constructor(deps: ConfigurationDeps) {
    this.#deps = deps;
    this.#index = new SnapshotIndex(deps.tellsVersions);
  }

  readonly snapshot = (): ConfigSnapshot => this.#index.snapshot;

  /**
   * Resolves the targets.
   *
   * @param onResolved Called with the difference before any further change.
   * @param change The changed mappings. Omit it if only the namespaces have changed.
   * @param putInForce Makes a new configuration current. Called when no other change is in progress.
   */
  update(
    onResolved: (change: SnapshotChange) => void,
    {
      change,
      putInForce,
    }: { readonly change?: ConfigChange; readonly putInForce?: () => Promise<void> } = {},
  ): Promise<void> {
    return this.#inTurn(async () => {
      await putInForce?.();
      const { resolve, mappings, steadyClock } = this.#deps;
      const targets = keepUnresolved(await resolve(), this.snapshot().targets);
      // At the start of the process no target counts as new, because the previous configuration is unknown.
      const at = this.#isResolved ? steadyClock.now() : undefined;
      this.#isResolved = true;
      onResolved(this.#index.update({ mappings: mappings(), targets, change, at }));
    });
  }

  /** Waits until the snapshot contains the current mappings, so that no run uses the previous ones. */
  async whenCurrent(): Promise<void> {
    if (!this.#isCurrent()) await this.#inTurn(async () => undefined);
  }

  /**
   * Whether a run may still write its target.
   *
   * @throws AppError INTERRUPTED if the mapping has changed since the run began, or if this is not known yet.
   */
  stillWants({ mapping, id }: DesiredTarget): boolean {
    const now = desiredIn(this.snapshot(), { mapping: mapping.name, target: id });
    if (!this.#isCurrent() || (now !== undefined && now.mapping !== mapping))
      throw new AppError('INTERRUPTED', { detail: 'the configuration has changed' });
    return now !== undefined;
  }

  /** Whether the snapshot contains the current mappings. If not, their targets are being resolved. */
  #isCurrent(): boolean {
    return this.snapshot().mappings === this.#deps.mappings();
  }
}
