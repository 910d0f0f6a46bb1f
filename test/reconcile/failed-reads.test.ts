import { expect, it } from 'vitest';
import { AppError } from '../../src/core/errors.ts';
import { createFingerprinter } from '../../src/core/fingerprint.ts';
import type { ReadResult } from '../../src/core/read-result.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { isProvenAbsent } from '../../src/reconcile/absence.ts';
import { AuditRecorder } from '../../src/reconcile/audit-recorder.ts';
import type { AbsenceRule } from '../../src/reconcile/failed-reads.ts';
import { createReadDeduplication } from '../../src/reconcile/read-deduplication.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { createMemoryAudit } from '../fakes/memory-audit.ts';

const DB = { store: 's', ref: { key: 'db' } };
const ABSENT: ReadResult = { kind: 'absent' };
const FOUND: ReadResult = { kind: 'found', value: SecretValue.fromText('x'), version: '1' };
const down = (code: 'STORE_UNAVAILABLE' | 'ACCESS_DENIED'): ReadResult => ({
  kind: 'failed',
  error: new AppError(code),
});
const RULE = { readings: 3, overMs: 600_000, deletionLagMs: 0 };

function open(rule: AbsenceRule | undefined) {
  const clock = createManualTime();
  const audit = createMemoryAudit({ clock });
  const start = clock.now();
  const newProcess = () =>
    createReadDeduplication(
      async () => undefined,
      () => rule,
    );
  let readDeduplication = newProcess();
  return {
    restart: () => {
      readDeduplication = newProcess();
    },
    /** Reads this many times, five minutes apart. */
    async read(result: ReadResult, times = 1) {
      for (let time = 0; time < times; time += 1) {
        const recorder = new AuditRecorder({
          ...{ audit, clock, readDeduplication, requestId: 'r', actor: { kind: 'schedule' } },
          fingerprints: createFingerprinter(SecretValue.fromBytes(new Uint8Array(32).fill(7))),
          stores: new Map([['s', 'd']]),
          instances: ['test'],
        });
        await (await recorder.read(DB, result))?.durable;
        await clock.advance(300_000);
      }
    },
    isProven: () =>
      isProvenAbsent(audit, { store: 's', key: 'db' }, 'd', { codes: ['SOURCE_ABSENT'], ...RULE }),
    /** Returns for each record: its code, the number of failed reads, and the minute when the failure began. */
    story: () =>
      audit.records.map(({ code, count, since }) => [
        code ?? 'ok',
        count,
        since && (Date.parse(since) - start) / 60_000,
      ]),
  };
}

it('a failure is recorded when it begins, changes and ends, with the number of failed reads', async () => {
  const { read, story, restart } = open(RULE);
  await read(FOUND);
  await read(down('STORE_UNAVAILABLE'), 3);
  await read(down('ACCESS_DENIED'), 2);
  await read(FOUND, 2);
  expect(story()).toEqual([
    ['ok', undefined, undefined],
    ['STORE_UNAVAILABLE', 1, 5],
    ['ACCESS_DENIED', 4, 5],
    ['ok', 5, 5],
  ]);
  await read(down('ACCESS_DENIED'));
  restart();
  await read(FOUND);
  expect(story().slice(4)).toEqual([
    ['ACCESS_DENIED', 1, 40],
    ['ok', 1, 40],
  ]);
});

it('only the readings that prove an absence are recorded, if a mapping may then remove something', async () => {
  const { read, story, isProven } = open(RULE);
  await read(ABSENT, 2);
  expect(await isProven()).toBe(false);
  await read(ABSENT, 286);
  expect(await isProven()).toBe(true);
  await read(FOUND);
  expect(story()).toEqual([
    ['SOURCE_ABSENT', 1, 0],
    ['SOURCE_ABSENT', 2, 0],
    ['SOURCE_ABSENT', 3, 0],
    ['ok', 288, 0],
  ]);
  const slow = open({ readings: 2, overMs: 3_600_000, deletionLagMs: 0 });
  await slow.read(ABSENT, 288);
  expect(slow.story().map(([, count]) => count)).toEqual([1, 2, 13]);
});

it('an absence that can remove nothing is recorded once', async () => {
  const { read, story } = open(undefined);
  await read(ABSENT, 288);
  expect(story()).toEqual([['SOURCE_ABSENT', 1, 0]]);
});

it('the reading that confirms an absence is recorded, although the proof of the absence takes longer', async () => {
  const { read, story } = open({ readings: 3, overMs: 3_600_000, deletionLagMs: 1_200_000 });
  await read(ABSENT, 288);
  // The first three readings, the one after the lag, and the one that completes the proof.
  expect(story().map(([, count]) => count)).toEqual([1, 2, 3, 5, 13]);
});
