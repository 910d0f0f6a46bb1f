import type { QueueHealth } from './queue.ts';

export interface HealthBoard {
  get(): QueueHealth;
  /** Tells the listeners if this is another state or another error. */
  set(next: QueueHealth): void;
  listen(listener: (health: QueueHealth) => void): () => void;
}

export function createHealthBoard(first: QueueHealth): HealthBoard {
  let current = first;
  const listeners = new Set<(health: QueueHealth) => void>();
  return {
    get: () => current,
    set(next) {
      const same = next.state === current.state && next.error?.message === current.error?.message;
      current = next;
      if (!same) for (const listener of [...listeners]) listener(next);
    },
    listen(listener) {
      const own = (health: QueueHealth): void => listener(health);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
  };
}
