import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { AuditRecord, Entry } from '../../src/audit/entry.ts';
import { toOcsf } from '../../src/audit/export/ocsf.ts';
import type { Review } from '../../src/audit/store.ts';
import { ACTIONS } from '../../src/core/words.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';
import { anyEntry } from './arbitrary.ts';
import { bare, entry } from './sample.ts';

const PATH = new URL('../fixtures/ocsf-1.3.0-entity-management.schema.json', import.meta.url);
const schema = z.fromJSONSchema(JSON.parse(readFileSync(PATH, 'utf8')));

async function recorded(given: Entry): Promise<AuditRecord> {
  await using audit = createMemoryAudit();
  const [record] = await audit.append([given]);
  if (record === undefined) throw new Error('nothing was recorded');
  return record;
}

/** Returns the event in its exported form. */
function event(record: AuditRecord, review?: Review): Record<string, unknown> {
  return JSON.parse(JSON.stringify(toOcsf(record, review, '1.2.3')));
}

describe('OCSF event', () => {
  it('an OCSF event matches the schema of its class, whatever the record contains', async () => {
    await fc.assert(
      fc.asyncProperty(anyEntry, async (given) => {
        const found = event(await recorded(given));
        expect(schema.safeParse(found).error?.issues ?? []).toEqual([]);
        expect(found.type_uid).toBe(300_400 + Number(found.activity_id));
      }),
    );
  });

  it.each(ACTIONS)('an OCSF event matches the schema if the action is %s', async (action) => {
    const found = event(await recorded(bare({ action })));
    expect(schema.safeParse(found).error?.issues ?? []).toEqual([]);
  });

  it('an OCSF event fails schema validation if it lacks required fields or has unknown fields', async () => {
    const found = event(await recorded(entry()));
    const { entity: _, ...less } = found;
    expect(schema.safeParse(less).success).toBe(false);
    expect(schema.safeParse({ ...found, secret: 'x' }).success).toBe(false);
    expect(schema.safeParse({ ...found, entity: { type: 'x' } }).success).toBe(false);
    expect(schema.safeParse({ ...found, class_uid: 6003 }).success).toBe(false);
  });

  it('an OCSF event contains the actor, the record, and the Secret before and after the change', async () => {
    const record = await recorded(
      entry({
        phase: 'outcome',
        resourceVersion: '8',
        actor: { kind: 'operator', name: 'ann', address: '::1' },
      }),
    );
    const review = { state: 'reviewed', by: 'bob', time: record.time, sequence: 2 } as const;
    expect(event(record, review)).toMatchObject({
      activity_id: 3,
      type_uid: 300_403,
      status_id: 1,
      severity_id: 1,
      actor: { user: { name: 'ann' } },
      src_endpoint: { ip: '::1' },
      entity: { uid: 'payments/payments-db', data: { fingerprint: record.before } },
      entity_result: { uid: 'payments/payments-db', version: '8', data: { fingerprint: record.after } },
      metadata: { uid: record.hash, sequence: 1, correlation_uid: record.requestId },
      unmapped: { keys: record.keys, sources: record.sources, review: { state: 'reviewed', by: 'bob' } },
    });
  });

  it('an OCSF event does not show an intent as a success', async () => {
    const found = event(await recorded(entry({ phase: 'intent' })));
    expect(found).toMatchObject({ status_id: 99, status: 'Intent' });
    expect(found).not.toHaveProperty('entity_result');
  });

  it('an OCSF event shows a refusal as a failure with an error code', async () => {
    const found = event(await recorded(entry({ action: 'refuse', outcome: 'refused', code: 'NOT_OWNED' })));
    expect(found).toMatchObject({
      activity_id: 99,
      activity_name: 'refuse',
      status_id: 2,
      status_code: 'NOT_OWNED',
    });
  });
});
