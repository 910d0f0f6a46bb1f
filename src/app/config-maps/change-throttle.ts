import type { Timers } from '../../core/timer.ts';

export interface ChangeThrottleDeps {
  readonly timers: Timers;
  /** Called with each changed name, or without a name if all may have changed. */
  readonly onChange: (name?: string) => void;
}

/** Changes within this time count as one, because a tool often applies many ConfigMaps at once. */
const WINDOW_MS = 1_000;
/** The number of changes in a row that are not delayed. */
const BURST = 120;
/** After that, changes wait for this time. */
const REFILL_MS = 10_000;

/**
 * Limits how often the changes of one namespace reach the configuration. Each change costs a load and an audit record,
 * so a script that changes its ConfigMap all the time would keep the service busy and fill the audit.
 */
export class ChangeThrottle implements Disposable {
  readonly #deps: ChangeThrottleDeps;
  readonly #waiting = new Set<string | undefined>();
  #left = BURST;
  #refilledAt: number;
  #windowStart = Number.NEGATIVE_INFINITY;
  #cancel: (() => void) | undefined;

  constructor(deps: ChangeThrottleDeps) {
    this.#deps = deps;
    this.#refilledAt = deps.timers.now();
  }

  note(name?: string): void {
    if (this.#cancel !== undefined) {
      this.#waiting.add(name);
      return;
    }
    const now = this.#deps.timers.now();
    this.#refill(now);
    const isInWindow = Math.abs(now - this.#windowStart) < WINDOW_MS;
    if (!isInWindow && this.#left < 1) {
      this.#waiting.add(name);
      this.#cancel = this.#deps.timers.wake(() => this.#flush(), REFILL_MS);
      return;
    }
    if (!isInWindow) {
      this.#left -= 1;
      this.#windowStart = now;
    }
    this.#deps.onChange(name);
  }

  [Symbol.dispose](): void {
    this.#cancel?.();
  }

  #flush(): void {
    this.#cancel = undefined;
    const names = [...this.#waiting];
    this.#waiting.clear();
    for (const name of names) this.note(name);
  }

  #refill(now: number): void {
    // A clock that was set back gives nothing, and takes nothing.
    const gained = Math.max(0, Math.floor((now - this.#refilledAt) / REFILL_MS));
    if (gained === 0 && now >= this.#refilledAt) return;
    this.#left = Math.min(BURST, this.#left + gained);
    this.#refilledAt = now;
  }
}
