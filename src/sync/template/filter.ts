import type { Budget } from './budget.ts';

export interface Filter {
  /** The minimum and the maximum number of arguments. */
  readonly args: readonly [number, number];
  /** A pure function. It charges the cost of its work to the budget before it starts. */
  readonly run: (budget: Budget, input: unknown, ...args: readonly unknown[]) => unknown;
}

export type Filters = Readonly<Record<string, Filter>>;
