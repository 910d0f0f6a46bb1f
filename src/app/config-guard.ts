import { AppError } from '../core/errors.ts';

/** What was begun under one configuration is not to go on under another: it would mix what both say. */
export interface ConfigGuard {
  /** @throws AppError INTERRUPTED */
  check(): void;
  /** What was found out, if that still counts. @throws AppError INTERRUPTED */
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
