import { BenchError } from './error.ts';

/** One figure of ours, beside the least that any program would need, measured in the same run. */
export interface Row {
  /** Stays the same from run to run. */
  readonly id: string;
  readonly title: string;
  readonly unit: 'calls' | 'requests' | 'connections' | 's' | 's CPU' | 'MB';
  readonly value: number;
  /** Measured. What is counted may have a floor of nothing. */
  readonly floor?: number;
  /** Value by floor. */
  readonly ratio?: number;
  readonly goal?: Goal;
  /** Whether the goal is reached; undefined without one. */
  readonly ok?: boolean;
  /** Where the figure comes from, as other figures. */
  readonly detail?: Readonly<Record<string, number>>;
}

/** At most so much of each that is named. */
export interface Goal {
  readonly value?: number;
  readonly ratio?: number;
}

export function row({ goal, floor, ...rest }: Omit<Row, 'ratio' | 'ok'>): Row {
  // What was computed from counts that do not belong together must not pass for a good figure.
  if (!(rest.value >= 0)) throw new BenchError(`${rest.id} was measured as ${rest.value}`);
  const value = rounded(rest.value);
  const ratio = floor === undefined || floor === 0 ? undefined : rounded(value / floor);
  return {
    ...rest,
    value,
    ...(floor === undefined ? {} : { floor: rounded(floor) }),
    ...(ratio === undefined ? {} : { ratio }),
    ...(goal === undefined ? {} : { goal, ok: reaches(goal, value, ratio) }),
  };
}

function reaches(goal: Goal, value: number, ratio: number | undefined): boolean {
  if (goal.value !== undefined && value > goal.value) return false;
  return goal.ratio === undefined || (ratio !== undefined && ratio <= goal.ratio);
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}

export interface BenchOptions {
  /** A tenth of the size, once: to see that it works. */
  readonly quick: boolean;
  readonly report: (line: string) => void;
  /** Told of each server that something was measured on. */
  readonly onServer: (name: string, version: string) => void;
}

/** A group of rows that share their set-up. */
export interface Benchmark {
  readonly name: string;
  readonly title: string;
  /** What is wanted, in words. */
  readonly goal: string;
  run(options: BenchOptions): Promise<readonly Row[]>;
}
