import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import { type ReadResult, refId, type SourceRef } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { AuditRecorder } from '../../src/reconcile/audit-recorder.ts';
import { lastReadVersion } from '../../src/reconcile/last-read-version.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

const SOURCE = { store: 'azure', key: 'db' };
const STAMP = '2026-11-25T12:00:00.000Z';

function found(version: string, stamp?: string): ReadResult {
  const value = SecretValue.fromText(`value of ${version}`);
  return { kind: 'found', value, version, ...(stamp === undefined ? {} : { stamp }) };
}

/** Runs several processes one after the other on a shared audit store. */
function openRecord() {
  const clock = createManualTime();
  const audit = createMemoryAudit({ clock });
  return {
    audit,
    async read(result: ReadResult, definition = 'd1', ref: SourceRef = { key: 'db' }) {
      const recorder = new AuditRecorder({
        audit,
        actor: { kind: 'cli' },
        requestId: 'r',
        fingerprints: createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7))),
        stores: new Map([['azure', definition]]),
        instances: ['test'],
        clock,
      });
      const source = { store: 'azure', ref };
      const recording = await recorder.read(source, result);
      await recording?.durable;
      return recorder.replacedValues.has(refId(source));
    },
    lastRead: (definition: string | undefined = 'd1') => lastReadVersion(audit, SOURCE, definition),
  };
}

describe('last read version', () => {
  it('the last read version is the latest version that a read returned together with a change marker', async () => {
    const { read, lastRead, audit } = openRecord();
    expect(await lastRead()).toBeUndefined();
    await read(found('v1', STAMP));
    expect(await lastRead()).toEqual({ version: 'v1', stamp: STAMP });
    await read(found('v2', '2026-11-25T13:00:00.000Z'));
    expect(await lastRead()).toEqual({ version: 'v2', stamp: '2026-11-25T13:00:00.000Z' });
    expect((await audit.list({}, { limit: 9 })).map(({ note }) => note)).toEqual([
      'definition d1 stamp 2026-11-25T13:00:00.000Z',
      `definition d1 stamp ${STAMP}`,
    ]);
  });

  it('the last read version is undefined after a failed read, and for another definition of the store', async () => {
    const { read, lastRead } = openRecord();
    await read(found('v1', STAMP));
    expect(await lastRead('d2')).toBeUndefined();
    await read({ kind: 'failed', error: new AppError('STORE_UNAVAILABLE') });
    expect(await lastRead()).toBeUndefined();
    await read({ kind: 'absent' });
    expect(await lastRead()).toBeUndefined();
    await read(found('v1', STAMP));
    expect(await lastRead()).toEqual({ version: 'v1', stamp: STAMP });
  });

  it('a changed value under an unchanged version is reported by the next read, and by every later process', async () => {
    const { read, audit } = openRecord();
    const made = (text: string, version = '1'): ReadResult => ({
      kind: 'found',
      value: SecretValue.fromText(text),
      version,
    });
    const absent: ReadResult = { kind: 'absent' };
    expect([await read(made('one')), await read(made('one'))]).toEqual([false, false]);
    // A version may get another value: if a Vault key is deleted completely and created again, its version numbers
    // restart at 1.
    expect([await read(made('two')), await read(made('two'))]).toEqual([true, true]);
    const [second, first] = await audit.list({}, { limit: 2 });
    expect(second?.before).toBe(first?.after);
    expect([await read(absent), await read(made('two'))]).toEqual([false, true]);
    expect([await read(absent), await read(made('three'))]).toEqual([false, true]);
    expect([await read(made('four', '2')), await read(made('four', '2'))]).toEqual([false, false]);
    expect(await read(made('five'))).toBe(false);
  });

  it('a version that was read is not recorded a second time if only its change marker differs', async () => {
    const { read, lastRead, audit } = openRecord();
    await read(found('v1', STAMP));
    await read(found('v1', '2026-11-25T13:00:00.000Z'));
    expect(await audit.list({}, { limit: 9 })).toHaveLength(1);
    expect(await lastRead()).toEqual({ version: 'v1', stamp: STAMP });
  });

  it('the last read version ignores reads of a configured version, of another store definition, or without a change marker', async () => {
    const { read, lastRead } = openRecord();
    await read(found('v1', STAMP));
    await read(found('v0'), 'd1', { key: 'db', version: 'v0' });
    await read(found('w1', '2026-11-25T14:00:00.000Z'), 'd2');
    // This read has no change marker, so v1 is still the last version with a change marker.
    await read(found('v2'));
    expect(await lastRead()).toEqual({ version: 'v1', stamp: STAMP });
    expect(await lastRead('d2')).toEqual({ version: 'w1', stamp: '2026-11-25T14:00:00.000Z' });
  });

  it('the last read version is undefined if the definition of the store is unknown', async () => {
    const { read, lastRead, audit } = openRecord();
    await read(found('v1', STAMP), '');
    expect(await lastReadVersion(audit, SOURCE, undefined)).toBeUndefined();
    expect(await lastRead()).toBeUndefined();
  });
});
