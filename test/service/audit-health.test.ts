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

describe('the auditHealth whether the audit can be written', () => {
  it('of a job ends with its next try, or when nobody tries again', () => {
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

  it('of what no job tries again lasts until something was recorded for certain', () => {
    const { clock, auditHealth } = open();
    auditHealth.writeFailed(AWAY);
    clock.set(clock.now() + 60 * MINUTE);
    auditHealth.writeSucceeded('a');
    expect(auditHealth.error()).toBe(AWAY);
    auditHealth.writeSucceeded();
    expect(auditHealth.error()).toBeUndefined();
  });

  it('of a look lasts until the next one, whatever jobs there are', () => {
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

  it('is said when it ends, once, and anew when it comes back', () => {
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

  it('is said once an outage', () => {
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
