import type { Logger } from '../log/logger.ts';

/** Resolves what crashes of other replicas left open; one look at a time, and that it cannot look is said once. */
export function createRecovery({
  recover,
  logger,
}: {
  readonly recover: () => Promise<number>;
  readonly logger: Logger;
}): () => Promise<void> {
  let running = false;
  let failing = false;
  return async () => {
    if (running) return;
    running = true;
    try {
      const closed = await recover();
      failing = false;
      if (closed > 0) logger.info('changes that a crash left open were resolved', { count: closed });
    } catch (error) {
      if (!failing) logger.warn('changes that a crash may have left open could not be looked at', { error });
      failing = true;
    } finally {
      running = false;
    }
  };
}
