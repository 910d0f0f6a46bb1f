import { AppError } from '../core/errors.ts';

/** Stops work that started under a previous configuration. Its result would mix two configurations. */
export interface ConfigGuard {
  /** @throws AppError INTERRUPTED */
  check(): void;
  /** Returns the result of the work if the configuration is still active. @throws AppError INTERRUPTED */
  guard<T>(work: Promise<T>): Promise<T>;
}

export function createConfigGuard(isCurrent: () => boolean): ConfigGuard {
  const check = (): void => {
    if (!isCurrent()) throw new AppError('INTERRUPTED', { detail: 'the configuration has changed' });
  };
  return {
    check,
    async guard(work) {
      const result = await work;
      check();
      return result;
    },
  };
}
