import type { Budget } from './budget.ts';

export interface Filter {
  /** The minimum and maximum number of arguments. */
  readonly args: readonly [number, number];
  /** A pure function. It spends the cost of its work before it starts. */
  readonly run: (budget: Budget, input: unknown, ...args: readonly unknown[]) => unknown;
}

export type Filters = Readonly<Record<string, Filter>>;
