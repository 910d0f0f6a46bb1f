import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createAuditHealth } from '../../src/service/audit-health.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { recordingLogger } from '../reconcile/world.ts';

const AWAY = new AppError('AUDIT_UNAVAILABLE');
const MINUTE = 60_000;

function open() {
  const clock = createManualTime();
  const logger = recordingLogger();
  return { clock, logger, auditHealth: createAuditHealth({ clock, logger }) };
}

describe('audit health', () => {
  it('the audit health clears the error of a job when the retry of the job succeeds or is no longer expected', () => {
    const { clock, auditHealth } = open();
    auditHealth.writeFailed(AWAY, 'a');
    auditHealth.writeSucceeded('b');
    expect(auditHealth.error()).toBe(AWAY);
    auditHealth.writeSucceeded('a');
    expect(auditHealth.error()).toBeUndefined();
    auditHealth.writeFailed(AWAY, 'a');
    clock.set(clock.now() + MINUTE);
    expect(auditHealth.error()).toBeUndefined();
  });

  it('the audit health keeps an error that belongs to no job, until a write that belongs to no job succeeds', () => {
    const { clock, auditHealth } = open();
    auditHealth.writeFailed(AWAY);
    clock.set(clock.now() + 60 * MINUTE);
    auditHealth.writeSucceeded('a');
    expect(auditHealth.error()).toBe(AWAY);
    auditHealth.writeSucceeded();
    expect(auditHealth.error()).toBeUndefined();
  });

  it('the audit health keeps the result of a probe of the audit store until the next probe', () => {
    const { clock, logger, auditHealth } = open();
    auditHealth.probed(AWAY);
    expect(auditHealth.error()).toBe(AWAY);
    expect(logger.lines).toHaveLength(1);
    auditHealth.writeSucceeded('a');
    auditHealth.writeSucceeded();
    clock.set(clock.now() + 60 * MINUTE);
    expect(auditHealth.error()).toBe(AWAY);
    auditHealth.probed();
    expect(auditHealth.error()).toBeUndefined();
    auditHealth.writeFailed(AWAY, 'a');
    auditHealth.probed();
    expect(auditHealth.error()).toBe(AWAY);
  });

  it('the audit health logs each recovery of the audit store once', () => {
    const { logger, auditHealth } = open();
    const levels = () => logger.lines.map(({ level }) => level);
    auditHealth.probed();
    expect(levels()).toEqual([]);
    auditHealth.probed(AWAY);
    auditHealth.writeFailed(AWAY, 'a');
    auditHealth.probed();
    expect(levels()).toEqual(['error']);
    auditHealth.writeSucceeded('a');
    auditHealth.probed();
    auditHealth.probed();
    expect(levels()).toEqual(['error', 'info']);
    auditHealth.probed(AWAY);
    expect(levels()).toEqual(['error', 'info', 'error']);
  });

  it('the audit health logs each outage of the audit store once', () => {
    const { clock, logger, auditHealth } = open();
    for (let second = 0; second < 300; second += 5) {
      auditHealth.writeFailed(AWAY, `${second}`);
      clock.set(clock.now() + 5_000);
    }
    expect(logger.lines).toHaveLength(1);
    clock.set(clock.now() + MINUTE);
    auditHealth.writeFailed(AWAY);
    expect(logger.lines).toHaveLength(2);
  });
});
