import { describe, expect, it } from 'vitest';
import type { Head } from '../../src/audit/chain.ts';
import { waitForTrustedAudit } from '../../src/commands/serve/audit-trust.ts';
import { AppError } from '../../src/core/errors.ts';
import type { Status } from '../../src/service/service.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

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
