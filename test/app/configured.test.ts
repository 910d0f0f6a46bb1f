import { describe, expect, it } from 'vitest';
import { createConfigurationRecords } from '../../src/app/configured.ts';
import { AppError } from '../../src/core/errors.ts';
import { silentLogger } from '../../src/log/logger.ts';
import { createAuditDoubt } from '../../src/service/audit-doubt.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

function open() {
  const clock = createManualTime();
  const audit = createMemoryAudit({ instance: 'prod', clock });
  const auditDoubt = createAuditDoubt({ clock, logger: silentLogger });
  const records = createConfigurationRecords({ app: { audit }, controller: { auditDoubt } });
  return { audit, auditDoubt, records, notes: () => audit.records.map(({ note, code }) => note ?? code) };
}

describe('changes of the configuration', () => {
  it('are recorded in their order when the audit is there again, each once', async () => {
    const { audit, auditDoubt, records, notes } = open();
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    await records.configured('one');
    await records.refused(3);
    await records.flush();
    expect(notes()).toEqual([]);
    expect(auditDoubt.trouble()?.code).toBe('AUDIT_UNAVAILABLE');
    audit.failure = undefined;
    await Promise.all([records.flush(), records.configured('two'), records.flush()]);
    expect(notes()).toEqual(['one', 'CONFIG_INVALID', 'two']);
    expect(audit.records.map(({ actor }) => actor)).toEqual([
      { kind: 'startup' },
      { kind: 'event' },
      { kind: 'event' },
    ]);
    expect(auditDoubt.trouble()).toBeUndefined();
    await records.flush();
    expect(notes()).toHaveLength(3);
  });

  it('are left out beyond a thousand that wait', async () => {
    const { audit, records, notes } = open();
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    for (let n = 0; n < 1_002; n += 1) await records.configured(`${n}`);
    audit.failure = undefined;
    await records.flush();
    expect(notes()).toHaveLength(1_000);
    expect(notes().at(-1)).toBe('999');
  });
});
