import { vi } from 'vitest';

/** Polls often, so that tests do not wait longer than needed. The timeout is long, because the machine may be busy. */
export function waitUntil<T>(holds: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(holds, { interval: 5, timeout: 30_000 });
}
