import type { QueueHealth } from './queue.ts';

export interface HealthTracker {
  get(): QueueHealth;
  /** Notifies the listeners if the state or the error changed. */
  set(next: QueueHealth): void;
  onChange(listener: (health: QueueHealth) => void): () => void;
}

export function createHealthTracker(first: QueueHealth): HealthTracker {
  let current = first;
  const listeners = new Set<(health: QueueHealth) => void>();
  return {
    get: () => current,
    set(next) {
      const same = next.state === current.state && next.error?.message === current.error?.message;
      current = next;
      if (!same) for (const listener of [...listeners]) listener(next);
    },
    onChange(listener) {
      const own = (health: QueueHealth): void => listener(health);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}
