import type { Logger } from '../../telemetry/logger.ts';
import type { Loops } from './loops.ts';

const CHECK_INTERVAL_MS = 5_000;

/** Logs once when a loop stalls, and once when it makes progress again. */
export function watchStalls(
  loops: Pick<Loops, 'states'>,
  { logger }: { readonly logger: Logger },
): Disposable {
  const stalled = new Set<string>();
  const check = (): void => {
    const states = loops.states();
    // Forget loops that have ended.
    const names = new Set(states.map(({ name }) => name));
    for (const name of stalled) if (!names.has(name)) stalled.delete(name);
    for (const { name, ageMs, stalled: isStalled } of states) {
      if (isStalled && !stalled.has(name)) {
        stalled.add(name);
        logger.error('a loop makes no progress', { name, durationMs: ageMs });
      } else if (!isStalled && stalled.delete(name)) logger.info('a loop makes progress again', { name });
    }
  };
  const timer = setInterval(check, CHECK_INTERVAL_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
