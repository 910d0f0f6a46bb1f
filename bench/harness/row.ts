import { BenchError } from './error.ts';

/**
 * One measured value. The floor is the smallest value that any program could reach. Each run measures the value and the
 * floor.
 */
export interface Row {
  /** An identifier that is the same in every run. */
  readonly id: string;
  readonly title: string;
  readonly unit: 'calls' | 'requests' | 'connections' | 's' | 's CPU' | 'MB';
  readonly value: number;
  /** The smallest value that any program could reach. The floor of a count may be 0. */
  readonly floor?: number;
  /** The value divided by the floor. */
  readonly ratio?: number;
  readonly goal?: Goal;
  /** Whether the goal is reached. Undefined without a goal. */
  readonly ok?: boolean;
  /** Related measured values. The keys are their names. */
  readonly detail?: Readonly<Record<string, number>>;
}

/** The goal: the largest acceptable value and the largest acceptable ratio. */
export interface Goal {
  readonly value?: number;
  readonly ratio?: number;
}

export function row({ goal, floor, ...rest }: Omit<Row, 'ratio' | 'ok'>): Row {
  // A negative or missing value means that the measurement is wrong. Throw, because the value would otherwise look like
  // a good result.
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
  /** Whether to run each benchmark once, at a tenth of its size, as a smoke test. */
  readonly quick: boolean;
  readonly report: (line: string) => void;
  /** Called for each server that a benchmark uses. */
  readonly onServer: (name: string, version: string) => void;
}

/** A group of rows that share one setup. */
export interface Benchmark {
  readonly name: string;
  readonly title: string;
  /** The goal as text for the report. */
  readonly goal: string;
  run(options: BenchOptions): Promise<readonly Row[]>;
}
