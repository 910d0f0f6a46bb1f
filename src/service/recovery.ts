import type { Logger } from '../telemetry/logger.ts';

/** Resolves the intents that crashed runs or this process left without an outcome. Logs repeated failures once. */
export function createRecovery({
  recover,
  onClosed,
  logger,
}: {
  readonly recover: () => Promise<number>;
  /** Called when intents were resolved, because their changes may require restarts. */
  readonly onClosed: () => void;
  readonly logger: Logger;
}): () => Promise<void> {
  let failing = false;
  return async () => {
    try {
      const closed = await recover();
      failing = false;
      if (closed === 0) return;
      logger.info('unresolved changes were resolved', { count: closed });
      onClosed();
    } catch (error) {
      if (!failing) logger.warn('unresolved changes could not be checked', { error });
      failing = true;
    }
  };
}
