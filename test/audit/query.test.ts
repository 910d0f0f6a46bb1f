import { describe, expect, it } from 'vitest';
import { parseInstant, queryRecords, toFilter } from '../../src/audit/query/query.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { bare } from './sample.ts';

const NOW = Date.UTC(2027, 0, 31, 12);

describe('parseInstant', () => {
  it.each([
    ['90m', '2027-01-31T10:30:00.000Z'],
    ['7d', '2027-01-24T12:00:00.000Z'],
    ['1h30m', '2027-01-31T10:30:00.000Z'],
    ['2027-01-01', '2027-01-01T00:00:00.000Z'],
    ['2027-01-01T08:00+02:00', '2027-01-01T06:00:00.000Z'],
    ['2027-01-01T08:00:00.25Z', '2027-01-01T08:00:00.250Z'],
    ['2028-02-29', '2028-02-29T00:00:00.000Z'],
    ['2027-02-28T23:30-02:00', '2027-03-01T01:30:00.000Z'],
  ])('parseInstant parses %s as %s', (text, expected) => {
    expect(parseInstant(text, NOW)).toBe(expected);
  });

  it.each([
    '',
    'yesterday',
    '7',
    '7w',
    '-7d',
    '2027-13-01',
    '2027-02-29',
    '2026-02-30',
    '2026-04-31T08:00:00Z',
    '2026-02-30T23:30-02:00',
    '2027-01-01T08:00',
    '999999999d',
    '9'.repeat(20),
  ])('parseInstant rejects %s', (text) => {
    expect(parseInstant(text, NOW)).toBeUndefined();
  });
});

describe('audit query', () => {
  it('an audit query becomes a filter that contains only the conditions of the query', () => {
    const filter = toFilter({ since: 'S', mapping: 'db', code: 'THROTTLED' }, (text) => `${text}!`);
    expect(filter).toEqual({ since: 'S!', mapping: 'db', code: 'THROTTLED' });
    expect(Object.keys(toFilter({}, String))).toEqual([]);
  });

  it('an audit query returns a cursor with each page except the last page', async () => {
    await using audit = createMemoryAudit();
    await audit.append([bare(), bare(), bare(), bare()]);
    const first = await queryRecords(audit, {}, { limit: 2 });
    expect([first.records.map(({ sequence }) => sequence), first.next]).toEqual([[4, 3], '3']);
    const last = await queryRecords(audit, {}, { limit: 2, cursor: '3' });
    expect([last.records.map(({ sequence }) => sequence), last.next]).toEqual([[2, 1], undefined]);
  });
});
