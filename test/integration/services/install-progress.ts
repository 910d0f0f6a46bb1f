const INTERVAL_MS = 15_000;

/** Reports regularly how much time an installation still needs. */
export class InstallProgress implements Disposable {
  /**
   * Returns the finished share of the work, from 0 to 1. Undefined while the share is unknown. Without this function,
   * the usual duration of the installation is the only measure.
   */
  measure: () => number | undefined = () => undefined;
  readonly #started = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #name: string;
  readonly #usualSeconds: number;
  readonly #report: (line: string) => void;

  constructor(name: string, usualSeconds: number, report: (line: string) => void) {
    this.#name = name;
    this.#usualSeconds = usualSeconds;
    this.#report = report;
    this.#timer = setInterval(() => report(this.line()), INTERVAL_MS).unref();
  }

  line(elapsed = this.#elapsed()): string {
    return `${this.#name}: ${duration(elapsed)} so far, ${describeTimeLeft(elapsed, this.#usualSeconds, this.measure())}`;
  }

  end(): void {
    this.#report(`${this.#name}: installed in ${duration(this.#elapsed())}.`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #elapsed(): number {
    return (performance.now() - this.#started) / 1000;
  }
}

/** @param share The finished share of the work. A share below 5 % is too small to extrapolate. */
function describeTimeLeft(elapsed: number, usual: number, share: number | undefined): string {
  const isMeasured = share !== undefined && share >= 0.05;
  const left = isMeasured ? elapsed / share - elapsed : usual - elapsed;
  const percent = isMeasured ? `${Math.min(99, Math.floor(share * 100))} %, ` : '';
  return left > 0 ? `${percent}about ${duration(left)} left` : `${percent}longer than usual`;
}

/** Returns a duration in words: "40 s" or "3 min 20 s". Rounds to five seconds, because it is an estimate. */
export function duration(seconds: number): string {
  const rounded = Math.max(5, Math.round(seconds / 5) * 5);
  const minutes = Math.floor(rounded / 60);
  const rest = rounded % 60;
  if (minutes === 0) return `${rest} s`;
  return rest === 0 ? `${minutes} min` : `${minutes} min ${rest} s`;
}
