import { expect, it } from 'vitest';
import { observerOf } from '../../src/commands/serve/service-app.ts';
import type { Config } from '../../src/config/config.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Metrics } from '../../src/telemetry/metrics.ts';
import { recordingLogger } from '../reconcile/world.ts';

it('the observer logs a store problem as an error if a person must act, and as a warning if it is transient', () => {
  const logger = recordingLogger();
  const { onState } = observerOf({ audit: { stdout: false } } as Config, {
    logger,
    print() {},
    metrics: {} as Metrics,
  });
  onState?.('vault', 'down', new AppError('TIMEOUT'));
  onState?.('vault', 'down', new AppError('AUTH_FAILED'));
  onState?.('vault', 'up');
  expect(logger.lines.map(({ level }) => level)).toEqual(['warn', 'error', 'info']);
});
