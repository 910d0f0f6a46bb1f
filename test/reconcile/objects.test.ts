import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../src/audit/entry.ts';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import type { ReadResult, SourceObject } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { isProvenAbsent } from '../../src/reconcile/absence.ts';
import { AuditRecorder } from '../../src/reconcile/audit-recorder.ts';
import { isReadOf, lastReadVersion } from '../../src/reconcile/last-read-version.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

// A secret, a certificate and a key in Azure Key Vault may share one name.

const MINUTE = 60_000;
const STAMP = '2026-11-25T12:00:00.000Z';
const POLICY = { codes: ['SOURCE_ABSENT'], readings: 3, overMs: 10 * MINUTE };
const ABSENT: ReadResult = { kind: 'absent' };
const DOWN: ReadResult = { kind: 'failed', error: new AppError('STORE_UNAVAILABLE') };

function found(version = '1', stamp?: string): ReadResult {
  const value = SecretValue.fromText(`value of ${version}`);
  return { kind: 'found', value, version, ...(stamp === undefined ? {} : { stamp }) };
}

function openRecord() {
  const clock = createManualTime();
  const audit = createMemoryAudit({ clock });
  const recorder = new AuditRecorder({
    audit,
    actor: { kind: 'cli' },
    requestId: 'r',
    fingerprints: createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7))),
    stores: new Map([['azure', 'd1']]),
    instances: ['test'],
    clock,
  });
  const reading = (object: SourceObject) => (object === 'secret' ? {} : { object });
  return {
    audit,
    /** Returns the records about one object type, or about all types. */
    records: (object?: SourceObject) =>
      audit.records.filter((record) => object === undefined || isReadOf(record, { object })).map(textOf),
    pass: () => clock.advance(6 * MINUTE),
    async read(object: SourceObject, result: ReadResult, times = 1, named: { version?: string } = {}) {
      for (let remaining = times; remaining > 0; remaining -= 1) {
        await clock.advance(6 * MINUTE);
        const source = { store: 'azure', ref: { key: 'ca', ...reading(object), ...named } };
        await (await recorder.read(source, result))?.durable;
      }
    },
    isProven: (object: SourceObject, named: { version?: string } = {}) =>
      isProvenAbsent(audit, { store: 'azure', key: 'ca', ...reading(object), ...named }, 'd1', POLICY),
  };
}

function textOf({ outcome, code, note, sources }: AuditRecord): string {
  const version = sources[0]?.version;
  return [outcome, code, version, note].filter((part) => part !== undefined).join(' ');
}

describe('reads of several Azure objects that share a name', () => {
  it('a read of an absent Azure object proves only the absence of that object, and not of other objects with its name', async () => {
    const { read, isProven } = openRecord();
    await read('secret', found());
    await read('key', ABSENT, 3);
    expect(await isProven('secret')).toBe(false);
    expect(await isProven('certificate')).toBe(false);
    expect(await isProven('key')).toBe(true);
    await read('secret', ABSENT);
    expect(await isProven('secret')).toBe(false);
    await read('secret', ABSENT, 2);
    expect(await isProven('secret')).toBe(true);
  });

  it('the absence of a specific version and the absence of the current version do not prove each other', async () => {
    const { read, isProven } = openRecord();
    const named = { version: '3' };
    await read('secret', ABSENT, 3, named);
    expect(await isProven('secret')).toBe(false);
    expect(await isProven('secret', { version: '4' })).toBe(false);
    expect(await isProven('secret', named)).toBe(true);
    await read('secret', ABSENT, 3);
    expect(await isProven('secret')).toBe(true);
    await read('secret', found('5'));
    expect([await isProven('secret'), await isProven('secret', named)]).toEqual([false, false]);
  });

  it('a read of an Azure object does not change the proof of another object with its name, whether the read succeeds or fails', async () => {
    const { read, isProven } = openRecord();
    for (const result of [found('1', STAMP), found('2'), DOWN]) {
      await read('secret', ABSENT);
      await read('certificate', result);
    }
    expect(await isProven('secret')).toBe(true);
    expect(await isProven('certificate')).toBe(false);
  });

  it('an Azure certificate or key is not proved absent by records without an object type', async () => {
    const { read, isProven } = openRecord();
    // The records of an absent plain secret contain no object type.
    await read('secret', ABSENT, 5);
    await read('key', ABSENT, 2);
    expect(await isProven('key')).toBe(false);
    await read('key', ABSENT);
    expect(await isProven('key')).toBe(true);
  });

  it('the record of a read contains the type of the Azure object, unless the object is a plain secret', async () => {
    const { read, records } = openRecord();
    await read('secret', found('1', STAMP));
    await read('secret', ABSENT);
    await read('secret', DOWN);
    await read('secret', found('2'));
    await read('certificate', found('1', STAMP));
    await read('certificate', DOWN);
    await read('key', found('3'));
    await read('key', ABSENT);
    expect(records()).toEqual([
      `ok 1 definition d1 stamp ${STAMP}`,
      'failed SOURCE_ABSENT definition d1',
      'failed STORE_UNAVAILABLE',
      'ok 2',
      `ok 1 definition d1 object certificate stamp ${STAMP}`,
      'failed STORE_UNAVAILABLE definition d1 object certificate',
      'ok 3 definition d1 object key',
      'failed SOURCE_ABSENT definition d1 object key',
    ]);
  });

  it('unchanged reads of Azure objects with the same name are not recorded each time if the reads alternate', async () => {
    const { read, records } = openRecord();
    for (let round = 0; round < 5; round += 1) {
      await read('secret', found('1'));
      await read('certificate', found('1'));
      await read('key', DOWN);
    }
    expect(records()).toHaveLength(3);
    await read('secret', DOWN);
    await read('secret', found('1'));
    expect(records()).toHaveLength(5);
  });

  it('an unchanged read is recorded again if many records of another Azure object with the same name precede the read', async () => {
    const { read, records } = openRecord();
    await read('secret', found());
    await read('key', ABSENT, 250);
    await read('secret', found());
    expect(records().filter((text) => text === 'ok 1')).toHaveLength(2);
  });

  it('a read of an absent Azure object proves nothing if thousands of records about another object with its name follow', async () => {
    const { read, isProven } = openRecord();
    await read('secret', ABSENT, 3);
    await read('key', ABSENT, 1_900);
    expect(await isProven('secret')).toBe(true);
    await read('key', ABSENT, 200);
    expect(await isProven('secret')).toBe(false);
  });

  it('the last read version of an Azure name depends only on reads of the plain secret', async () => {
    const { audit, read } = openRecord();
    const lastRead = () => lastReadVersion(audit, { store: 'azure', key: 'ca' }, 'd1');
    await read('certificate', found('c1', STAMP));
    expect(await lastRead()).toBeUndefined();
    await read('secret', found('1', STAMP));
    await read('certificate', found('c2', STAMP));
    await read('key', ABSENT);
    expect(await lastRead()).toEqual({ version: '1', stamp: STAMP });
    await read('secret', DOWN);
    await read('key', found('k1'));
    expect(await lastRead()).toBeUndefined();
  });

  it('a read of an Azure object has no effect on other objects with its name, whatever the order of the reads', async () => {
    const objects = fc.constantFrom<SourceObject>('secret', 'certificate', 'key');
    const results = fc.constantFrom('absent', 'absent', 'absent', 'down', 'found 1', 'found 2');
    const resultOf = (text: string): ReadResult =>
      text === 'absent' ? ABSENT : text === 'down' ? DOWN : found(text);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(objects, results), { maxLength: 12 }), objects, async (all, one) => {
        const [mixed, alone] = [openRecord(), openRecord()];
        for (const [object, text] of all) {
          await mixed.read(object, resultOf(text));
          if (object === one) await alone.read(object, resultOf(text));
          else await alone.pass();
        }
        expect(await mixed.isProven(one)).toBe(await alone.isProven(one));
        expect(mixed.records(one)).toEqual(alone.records(one));
      }),
    );
  });
});
