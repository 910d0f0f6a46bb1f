import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createAuditDoubt } from '../../src/service/audit-doubt.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { recordingLogger } from '../reconcile/world.ts';

const AWAY = new AppError('AUDIT_UNAVAILABLE');
const MINUTE = 60_000;

function open() {
  const clock = createManualTime();
  const logger = recordingLogger();
  return { clock, logger, doubt: createAuditDoubt({ clock, logger }) };
}

describe('the doubt whether the audit can be written', () => {
  it('of a job ends with its next try, or when nobody tries again', () => {
    const { clock, doubt } = open();
    doubt.failed(AWAY, 'a');
    doubt.recorded('b');
    expect(doubt.trouble()).toBe(AWAY);
    doubt.recorded('a');
    expect(doubt.trouble()).toBeUndefined();
    doubt.failed(AWAY, 'a');
    clock.set(clock.now() + MINUTE);
    expect(doubt.trouble()).toBeUndefined();
  });

  it('of what no job tries again lasts until something was recorded for certain', () => {
    const { clock, doubt } = open();
    doubt.failed(AWAY);
    clock.set(clock.now() + 60 * MINUTE);
    doubt.recorded('a');
    expect(doubt.trouble()).toBe(AWAY);
    doubt.recorded();
    expect(doubt.trouble()).toBeUndefined();
  });

  it('of a look lasts until the next one, whatever jobs there are', () => {
    const { clock, logger, doubt } = open();
    doubt.looked(AWAY);
    expect(doubt.trouble()).toBe(AWAY);
    expect(logger.lines).toHaveLength(1);
    doubt.recorded('a');
    doubt.recorded();
    clock.set(clock.now() + 60 * MINUTE);
    expect(doubt.trouble()).toBe(AWAY);
    doubt.looked();
    expect(doubt.trouble()).toBeUndefined();
    doubt.failed(AWAY, 'a');
    doubt.looked();
    expect(doubt.trouble()).toBe(AWAY);
  });

  it('is said when it ends, once, and anew when it comes back', () => {
    const { logger, doubt } = open();
    const levels = () => logger.lines.map(({ level }) => level);
    doubt.looked();
    expect(levels()).toEqual([]);
    doubt.looked(AWAY);
    doubt.failed(AWAY, 'a');
    doubt.looked();
    expect(levels()).toEqual(['error']);
    doubt.recorded('a');
    doubt.looked();
    doubt.looked();
    expect(levels()).toEqual(['error', 'info']);
    doubt.looked(AWAY);
    expect(levels()).toEqual(['error', 'info', 'error']);
  });

  it('is said once an outage', () => {
    const { clock, logger, doubt } = open();
    for (let second = 0; second < 300; second += 5) {
      doubt.failed(AWAY, `${second}`);
      clock.set(clock.now() + 5_000);
    }
    expect(logger.lines).toHaveLength(1);
    clock.set(clock.now() + MINUTE);
    doubt.failed(AWAY);
    expect(logger.lines).toHaveLength(2);
  });
});
