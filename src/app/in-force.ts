import { AppError } from '../core/errors.ts';

/** What was begun under one configuration is not to go on under another: it would mix what both say. */
export interface InForce {
  /** @throws AppError INTERRUPTED */
  check(): void;
  /** What was found out, if that still counts. @throws AppError INTERRUPTED */
  found<T>(work: Promise<T>): Promise<T>;
}

export function whileInForce(isInForce: () => boolean): InForce {
  const check = (): void => {
    if (!isInForce()) throw new AppError('INTERRUPTED', { detail: 'the configuration has changed' });
  };
  return {
    check,
    async found(work) {
      const result = await work;
      check();
      return result;
    },
  };
}
