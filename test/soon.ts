import { vi } from 'vitest';

/** Looks often, since a test that waits stands still, and for long, since the machine may be busy. */
export function soon<T>(holds: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(holds, { interval: 5, timeout: 30_000 });
}
