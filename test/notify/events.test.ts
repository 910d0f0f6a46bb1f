import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { TROUBLE_KINDS } from '../../src/core/troubles.ts';
import { TroubleLog } from '../../src/notify/trouble-log.ts';
import { record, START, targetEntry } from './sample.ts';

const RULES = { name: 'ops', on: TROUBLE_KINDS, afterMs: 0 };
const target = { mapping: 'db', namespace: 'apps', secret: 'db' };

type Part = Omit<Parameters<typeof record>[0], 'sequence'>;

/** Returns the open troubles after these records, as `kind code`. */
function openAfter(...parts: readonly Part[]): readonly string[] {
  const log = new TroubleLog(0);
  parts.forEach((part, index) => {
    log.note(record({ ...part, sequence: index + 1 } as AuditRecord), [RULES]);
  });
  return log.open().map(({ kind, code }) => (code === undefined ? kind : `${kind} ${code}`));
}

const failed = (code: string): Part => targetEntry('db', code);
const refused = (code: string): Part => ({ action: 'refuse', outcome: 'refused', code, ...target });
const held: Part = { action: 'hold', outcome: 'held', code: 'HELD', ...target };
const inSync: Part = { action: 'sweep', ...target };

describe('a trouble begins and ends with a record', () => {
  it.each<[string, readonly Part[], readonly string[]]>([
    ['a failure', [failed('TIMEOUT')], ['failed TIMEOUT']],
    ['a failure with another code later', [failed('TIMEOUT'), failed('THROTTLED')], ['failed TIMEOUT']],
    ['a failure that is over', [failed('TIMEOUT'), inSync], []],
    ['a failure that ends with a write', [failed('TIMEOUT'), { action: 'update', phase: 'outcome', ...target }], []],
    ['the intent of a write', [failed('TIMEOUT'), { action: 'update', phase: 'intent', ...target }], ['failed TIMEOUT']],
    ['a failed write', [{ action: 'create', phase: 'outcome', outcome: 'failed', code: 'CLUSTER_REFUSED', ...target }], ['failed CLUSTER_REFUSED']],
    ['a refusal', [refused('NOT_OWNED')], ['refused NOT_OWNED']],
    ['a refusal after a failure', [failed('TIMEOUT'), refused('NOT_OWNED')], ['refused NOT_OWNED']],
    ['a contest', [refused('CONTESTED')], ['contested CONTESTED']],
    ['a hold', [held], ['held HELD']],
    ['a hold that was released and carried out', [held, { action: 'release', ...target }, { action: 'delete', phase: 'outcome', ...target }], []],
    ['a change that waits for its window', [failed('TIMEOUT'), refused('OUTSIDE_WINDOW')], []],
    ['a Secret to merge into that does not exist yet', [failed('SECRET_MISSING')], []],
    ['a restart', [{ action: 'restart', outcome: 'failed', code: 'WORKLOAD_MISSING', note: 'Deployment api', ...target }], ['failed WORKLOAD_MISSING']],
    ['a restart that succeeds later', [{ action: 'restart', outcome: 'failed', code: 'WORKLOAD_MISSING', note: 'Deployment api', ...target }, { action: 'restart', phase: 'outcome', note: 'Deployment api', ...target }], []],
    ['the failed read of a source', [{ action: 'read', outcome: 'failed', code: 'TIMEOUT', store: 'vault', key: 'a' }], []],
    ['a sweep with failures', [{ action: 'sweep', outcome: 'failed' }], []],
    ['a flagged record', [{ action: 'review', review: { sequence: 9, state: 'flagged' } }], ['flagged']],
    ['a flagged record that was reviewed', [{ action: 'review', review: { sequence: 9, state: 'flagged' } }, { action: 'review', review: { sequence: 9, state: 'reviewed' } }], []],
    ['a value that expires', [{ action: 'warn', outcome: 'failed', code: 'EXPIRES_SOON', ...target }], ['expiring EXPIRES_SOON']],
    ['a value that was rotated', [{ action: 'warn', outcome: 'failed', code: 'EXPIRES_SOON', ...target }, { action: 'warn', code: 'EXPIRES_SOON', ...target }], []],
    ['an altered audit log', [{ action: 'warn', outcome: 'failed', code: 'AUDIT_ALTERED' }], ['audit AUDIT_ALTERED']],
    ['a target that is no longer configured', [failed('TIMEOUT'), { action: 'warn', ...target }], []],
    ['a held target that is no longer configured', [held, { action: 'warn', ...target }], ['held HELD']],
  ])('%s', (_, parts, open) => {
    expect(openAfter(...parts)).toEqual(open);
  }); // biome-ignore format: a table

  it('a request for approval ends by a decision, or when its time is over', () => {
    const until = new Date(START + 3_600_000).toISOString();
    const request: Part = {
      ...{ action: 'request', outcome: 'refused', code: 'APPROVAL_NEEDED', ...target },
      requested: { action: 'adopt', argument: 'a', until },
    };
    expect(openAfter(request)).toEqual(['approval APPROVAL_NEEDED']);
    expect(openAfter(request, { action: 'approve', approval: 1 })).toEqual([]);
    expect(openAfter(request, { action: 'reject', approval: 1 })).toEqual([]);
    expect(openAfter(request, { action: 'approve', approval: 1, outcome: 'refused' })).toHaveLength(1);
    const log = new TroubleLog(0);
    log.note(record({ ...request, sequence: 1 } as AuditRecord), [RULES]);
    const message = log.decide(RULES, START + 10_000);
    expect(message).toMatchObject({ opened: [{ kind: 'approval', sequence: 1 }], closed: [] });
    log.apply(log.decisionOf(RULES, START + 10_000).decision, [RULES]);
    expect(log.decide(RULES, START + 3_599_999)).toBeUndefined();
    expect(log.decide(RULES, START + 3_600_000)).toMatchObject({ opened: [], closed: [{ sequence: 1 }] });
  });

  it('a channel gets only its kinds and its namespaces', () => {
    const log = new TroubleLog(0);
    const records = [
      targetEntry('db', 'TIMEOUT', 'apps'),
      targetEntry('api', 'TIMEOUT', 'payments-eu'),
      { ...refused('NOT_OWNED'), namespace: 'payments' },
      { action: 'warn', outcome: 'failed', code: 'AUDIT_ALTERED' } as const,
    ];
    records.forEach((part, index) => {
      log.note(record({ ...part, sequence: index + 1 } as AuditRecord), []);
    });
    const opened = (rules: object) =>
      log.decide({ ...RULES, ...rules }, START + 10_000)?.opened.map(({ sequence }) => sequence);
    expect(opened({})).toEqual([1, 2, 3, 4]);
    expect(opened({ on: ['failed'] })).toEqual([1, 2]);
    expect(opened({ namespaces: ['payments', 'payments-*'] })).toEqual([2, 3]);
    expect(opened({ on: ['held'] })).toBeUndefined();
  });
});
