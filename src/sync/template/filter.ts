import type { Budget } from './budget.ts';

export interface Filter {
  /** How many arguments it takes, from and to. */
  readonly args: readonly [number, number];
  /** Pure: no clock, no randomness, nothing from outside. Spends what its work costs before it does it. */
  readonly run: (budget: Budget, input: unknown, ...args: readonly unknown[]) => unknown;
}

export type Filters = Readonly<Record<string, Filter>>;
