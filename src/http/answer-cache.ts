import type { Clock } from '../core/clock.ts';

/** Answers to yes-or-no questions, for a while. A failure is never kept; those who ask the same meanwhile share one question. */
export interface AnswerCache<T> {
  get(key: string, load: () => Promise<T>): Promise<T>;
}

export interface AnswerCacheOptions<T> {
  readonly clock: Clock;
  /** Of each kind. */
  readonly max: number;
  readonly yesMs: number;
  readonly noMs: number;
  isYes(answer: T): boolean;
}

interface Kept<T> {
  readonly answer: T;
  readonly at: number;
  readonly ms: number;
}

export function createAnswerCache<T>({
  clock,
  max,
  yesMs,
  noMs,
  isYes,
}: AnswerCacheOptions<T>): AnswerCache<T> {
  // Apart, so that a flood of made-up tokens pushes out no good one.
  const yes = new Map<string, Kept<T>>();
  const no = new Map<string, Kept<T>>();
  const loading = new Map<string, Promise<T>>();

  function keep(key: string, answer: T): void {
    const [kept, ms] = isYes(answer) ? [yes, yesMs] : [no, noMs];
    kept.set(key, { answer, at: clock.now(), ms });
    const [oldest] = kept.keys();
    if (kept.size > max && oldest !== undefined) kept.delete(oldest);
  }

  async function loadAndKeep(key: string, load: () => Promise<T>): Promise<T> {
    try {
      const answer = await load();
      keep(key, answer);
      return answer;
    } finally {
      loading.delete(key);
    }
  }

  return {
    async get(key, load) {
      for (const kept of [yes, no]) {
        const found = kept.get(key);
        // By distance: a clock that was set back must not keep an answer for hours.
        if (found !== undefined && Math.abs(clock.now() - found.at) < found.ms) return found.answer;
        kept.delete(key);
      }
      const underWay = loading.get(key);
      if (underWay !== undefined) return underWay;
      const started = loadAndKeep(key, load);
      loading.set(key, started);
      return started;
    },
  };
}
