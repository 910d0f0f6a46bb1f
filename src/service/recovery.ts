import type { Logger } from '../log/logger.ts';

/** Resolves what crashes, and this process, left open; that it cannot look is said once. */
export function createRecovery({
  recover,
  onClosed,
  logger,
}: {
  readonly recover: () => Promise<number>;
  /** What was found to be made may want restarts. */
  readonly onClosed: () => void;
  readonly logger: Logger;
}): () => Promise<void> {
  let failing = false;
  return async () => {
    try {
      const closed = await recover();
      failing = false;
      if (closed === 0) return;
      logger.info('changes that were left open were resolved', { count: closed });
      onClosed();
    } catch (error) {
      if (!failing) logger.warn('changes that may have been left open could not be looked at', { error });
      failing = true;
    }
  };
}
