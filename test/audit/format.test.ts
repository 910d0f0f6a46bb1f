import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { append, canonical, GENESIS, hashOf } from '../../src/audit/chain.ts';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { bare } from './sample.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/reference/audit-format.md'), 'utf8');

function block(info: string): string {
  return page.split(`\`\`\`${info}\n`)[1]?.split('\n```')[0] ?? '';
}

it('the documented example equals the record that the program writes, including its hash', () => {
  const text = block('json canonical');
  const record: AuditRecord = JSON.parse(text);
  expect(canonical(record)).toBe(text);
  expect(hashOf(text)).toBe(block('text hash'));
  const { time, instance, replica } = record;
  expect(append(GENESIS, record, { time, instance, replica }).stored).toMatchObject({
    text,
    hash: block('text hash'),
  });
});

it('the documentation lists every field of a record', () => {
  const record: AuditRecord = {
    ...JSON.parse(block('json canonical')),
    hash: '',
    store: '',
    key: '',
    code: '',
    counts: {},
    values: {},
    review: { sequence: 1, state: 'reviewed' },
    note: '',
  };
  const listed = page.split('## The canonical bytes')[0]?.matchAll(/`(\w+)`/g) ?? [];
  const names = new Set(Array.from(listed, ([, name]) => name));
  expect(Object.keys(record).filter((name) => !names.has(name))).toEqual([]);
});

it('a record contains no negative duration after the clock was set back', () => {
  const when = { time: '2026-11-25T12:00:00.000Z', instance: 'prod', replica: 'a' };
  expect(append(GENESIS, bare({ durationMs: -3_600_000 }), when).record.durationMs).toBe(0);
  expect(append(GENESIS, bare({ durationMs: 12.4 }), when).record.durationMs).toBe(12);
});
