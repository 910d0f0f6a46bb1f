import type { Context } from './context.ts';

export interface Progress extends Disposable {
  /** Shows progress: on a terminal in one line that is updated, otherwise as a new line every few seconds. */
  step(done: number, total: number, what: string): void;
}

/** Writes progress to stderr, so that stdout contains only the result. */
export function createProgress({ stderr, interactive, width, clock }: Context, title: string): Progress {
  let shownAt = Number.NEGATIVE_INFINITY;
  const interval = interactive ? 50 : 5_000;
  return {
    step(done, total, what) {
      const last = done === total;
      if (!last && clock.now() - shownAt < interval) return;
      shownAt = clock.now();
      const line = `${title} ${done}/${total}${last ? '' : `  ${what}`}`;
      stderr.write(interactive ? `\r\u001b[2K${line.slice(0, width - 1)}` : `${line}\n`);
    },
    [Symbol.dispose]() {
      if (interactive && shownAt > 0) stderr.write('\r\u001b[2K');
    },
  };
}
