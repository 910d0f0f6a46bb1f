import { describe, expect, it } from 'vitest';
import {
  createConfigurationRecords,
  describeDiff,
  describeStart,
} from '../../src/commands/serve/configuration-records.ts';
import type { ConfigDiff } from '../../src/config/diff.ts';
import { AppError } from '../../src/core/errors.ts';
import { createAuditHealth } from '../../src/service/audit-health.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

function open() {
  const clock = createManualTime();
  const audit = createMemoryAudit({ instance: 'prod', clock });
  const auditDoubt = createAuditHealth({ clock, logger: silentLogger });
  const records = createConfigurationRecords({
    app: { audit, checkpoints: undefined },
    controller: { auditHealth: auditDoubt },
  });
  return { audit, auditDoubt, records, notes: () => audit.records.map(({ note, code }) => note ?? code) };
}

const NONE = { added: [], changed: [], removed: [] };

function diffOf(some: Partial<ConfigDiff>): ConfigDiff {
  return {
    stores: NONE,
    mappings: NONE,
    access: false,
    approvals: false,
    windows: false,
    policies: false,
    notify: false,
    includes: false,
    events: false,
    restart: [],
    ...some,
  };
}

describe('description of a configuration change', () => {
  it('the description of a configuration change names added, changed and removed mappings and stores, and other changed sections', () => {
    const mappings = { added: ['web'], changed: ['db', 'mail'], removed: [] };
    expect(describeDiff(diffOf({ mappings, stores: { ...NONE, removed: ['vault'] } }))).toBe(
      'stores: 0 added, 0 changed, 1 removed (vault); mappings: 1 added (web), 2 changed (db, mail), 0 removed',
    );
    expect(describeDiff(diffOf({ access: true, events: true, restart: ['brake', 'http'] }))).toMatch(
      /0 removed; changed: access, events, brake, http$/,
    );
  });

  it('the description of a configuration change limits its length', () => {
    const names = Array.from({ length: 10_000 }, (_, n) => `m${String(n).padStart(62, '0')}`);
    const all = { added: names, changed: names, removed: names };
    const note = describeDiff(diffOf({ mappings: all, stores: all }));
    expect(note).toContain(`10000 removed (${names.slice(0, 20).join(', ')} and 9980 more)`);
    expect(note.length).toBeLessThan(8_500);
  });

  it('the description of a configuration change contains counts at the first start, and the changes at a second start', () => {
    const config = { stores: [1], mappings: [1, 2] };
    expect(describeStart(config)).toBe('stores: 1, mappings: 2');
    expect(describeStart(config, diffOf({ restart: ['brake'] }))).toBe(
      'stores: 1, mappings: 2; reopened; stores: 0 added, 0 changed, 0 removed; mappings: 0 added, 0 changed, 0 removed; changed: brake',
    );
    expect(describeStart(config, diffOf({}))).toBe('stores: 1, mappings: 2; reopened; unchanged');
  });
});

describe('records of configuration changes', () => {
  it('configuration changes wait while the audit store is down, and are recorded once and in order when the store works again', async () => {
    const { audit, auditDoubt, records, notes } = open();
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    await records.configured('one');
    await records.refused(3);
    await records.flush();
    expect(notes()).toEqual([]);
    expect(auditDoubt.error()?.code).toBe('AUDIT_UNAVAILABLE');
    audit.failure = undefined;
    await Promise.all([records.flush(), records.configured('two'), records.flush()]);
    expect(notes()).toEqual(['one', 'CONFIG_INVALID', 'two']);
    expect(audit.records.map(({ actor }) => actor)).toEqual([
      { kind: 'startup' },
      { kind: 'event' },
      { kind: 'event' },
    ]);
    expect(auditDoubt.error()).toBeUndefined();
    await records.flush();
    expect(notes()).toHaveLength(3);
  });

  it('at most a thousand records of configuration changes wait for the audit store', async () => {
    const { audit, records, notes } = open();
    audit.failure = new AppError('AUDIT_UNAVAILABLE');
    for (let n = 0; n < 1_002; n += 1) await records.configured(`${n}`);
    audit.failure = undefined;
    await records.flush();
    expect(notes()).toHaveLength(1_000);
    expect(notes().at(-1)).toBe('999');
  });
});
