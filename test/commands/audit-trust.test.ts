import { describe, expect, it } from 'vitest';
import type { Head } from '../../src/audit/chain.ts';
import { verifyChainPeriodically, waitForTrustedAudit } from '../../src/commands/serve/audit-trust.ts';
import { systemClock } from '../../src/core/clock.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Status } from '../../src/service/service.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { entry } from '../audit/sample.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { recordKeys } from '../fakes/record-keys.ts';

/**
 * Returns the status of a service that waits for a person to accept a truncated audit log. `head` reads the end of that
 * log.
 */
async function shownWhile(head: () => Promise<Head>): Promise<Status | undefined> {
  const truncated = new AppError('AUDIT_TRUNCATED');
  const app = {
    audit: { ...createMemoryAudit(), head },
    storedAudit: { ...createMemoryAudit(), head },
    checkpoints: {
      storeError: () => truncated,
      checkStore: async () => undefined,
      writeError: () => undefined,
    },
    logger: silentLogger,
    config: {
      includes: [],
      instance: 'prod',
      engine: { kind: 'memory' },
      cluster: { kind: 'directory' },
      audit: { store: { kind: 'postgres' }, checkpoints: [] },
    },
  } as unknown as Parameters<typeof waitForTrustedAudit>[0];
  let shown: Promise<Status> | undefined;
  await waitForTrustedAudit(app, {
    version: '1',
    replica: 'r',
    configProblems: () => [],
    signal: new AbortController().signal,
    front: {
      use: ({ startupStatus }) => {
        shown ??= startupStatus?.status();
      },
    },
    retryMs: 1,
    queryTimeoutMs: 20,
  });
  return shown;
}

describe('status while the audit log cannot be trusted', () => {
  it('the status reports the reason and the last sequence number while the audit log cannot be trusted', async () => {
    const shown = await shownWhile(async () => ({ sequence: 7, hash: 'a'.repeat(64) }));
    expect(shown).toMatchObject({
      engine: { state: 'down', code: 'AUDIT_TRUNCATED' },
      audit: { kind: 'postgres', state: 'down', code: 'AUDIT_TRUNCATED', sequence: 7 },
    });
  });

  it('the status reports why the audit log cannot be trusted even if the query of the last record fails or hangs', async () => {
    const heads = [
      () => Promise.reject(new AppError('AUDIT_UNAVAILABLE')),
      () => new Promise<Head>(() => {}),
    ];
    for (const head of heads) {
      const shown = await shownWhile(head);
      expect(shown).toMatchObject({
        engine: { state: 'down', code: 'AUDIT_TRUNCATED' },
        audit: { kind: 'postgres', state: 'down', code: 'AUDIT_UNAVAILABLE', sequence: 0 },
      });
    }
  });
});

it('the log says how many records no known key verifies', async () => {
  const audit = createMemoryAudit({ keys: recordKeys(1) });
  await audit.append([entry(), entry()]);
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const app = {
    ...{ audit, recordKeys: recordKeys(2), checkpoints: undefined, clock: systemClock },
    config: { audit: {} },
    logger: { ...silentLogger, warn: (message: string, fields: object) => resolve({ message, ...fields }) },
  } as unknown as Parameters<typeof verifyChainPeriodically>[0];
  using chain = verifyChainPeriodically(app, { use: () => undefined });
  expect(await promise).toEqual({
    message: 'the audit log needs attention',
    error: new AppError('RECORDS_UNVERIFIABLE', { detail: '2 of its records' }),
  });
  expect(chain.unverifiable()).toBe(2);
});
