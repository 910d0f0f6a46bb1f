import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCheckpointer } from '../../src/audit/checkpoint/checkpointer.ts';
import { fileLocation } from '../../src/audit/checkpoint/locations.ts';
import { createSigner, keysById } from '../../src/audit/checkpoint/signing.ts';
import { openPostgresAudit } from '../../src/audit/postgres/postgres.ts';
import { type Archive, createArchive } from '../../src/audit/retention/archive.ts';
import { createRetention } from '../../src/audit/retention/retention.ts';
import { openSqliteAudit } from '../../src/audit/sqlite/sqlite.ts';
import { SecretValue } from '../../src/core/secret-value.ts';
import { faulty, type Step } from '../fakes/faulty.ts';
import { entry } from './sample.ts';

/**
 * Simulates a service with short days: `node retention-child.ts <path-or-url> <folder> <replica> <first day>`. Each day
 * adds 300 records and a checkpoint, and prunes a segment of old records. The process runs until it is killed. The
 * optional last argument is the step of the second pruning at which the process kills itself. Step 0 is the write of
 * the archive.
 */
const [location = '', folder = '', replica = '', first = '0', dieAt = 'never'] = process.argv.slice(2);
const DAY = 86_400_000;
let day = Number(first);
const clock = { now: () => Date.parse('2026-01-01T00:00:00Z') + day * DAY };
const common = { instance: 'test', replica, clock };
const store = location.startsWith('postgres:')
  ? await openPostgresAudit({ ...common, url: async () => SecretValue.fromText(location) })
  : await openSqliteAudit({ ...common, path: location });
const signer = createSigner(createPrivateKey(readFileSync(join(folder, 'key.pem'))));
const checkpointer = createCheckpointer({
  audit: store,
  locations: [fileLocation(join(folder, 'checkpoints.jsonl'))],
  signer,
  keys: keysById([signer.publicKey]),
  instance: 'test',
  instances: ['test'],
  clock,
  onFailure: (name, error) => {
    throw new Error(name, { cause: error });
  },
});
const storeError = await checkpointer.checkStore();
if (storeError !== undefined) throw storeError;
let segments = 0;
let steps = 0;
const die = (): void => void process.kill(process.pid, 'SIGKILL');
const archive = createArchive(join(folder, 'archive'));
const watch = ({ call, phase }: Step): void => {
  if (call === 'archive.write' && phase === 'before') segments += 1;
  if (segments < 2) return;
  steps += 1;
  if (steps === Number(dieAt)) die();
};
const dying: Archive = {
  ...archive,
  write: (segment, fill) =>
    archive.write(segment, (add) => {
      let records = 0;
      return fill(async (record) => {
        await add(record);
        records += 1;
        if (dieAt === '0' && segments === 2 && records === 250) die();
      });
    }),
};
const retention = createRetention({
  audit: faulty('audit', checkpointer.audit, watch),
  checkpoints: {
    ...faulty('checkpoints', checkpointer, watch),
    storeError: checkpointer.storeError,
    writeError: checkpointer.writeError,
  },
  retentionMs: 2 * DAY,
  archive: faulty('archive', dying, watch),
  clock,
  segmentRecords: 400,
});
await retention.tidy();
process.stdout.write(`${day}\n`);
for (; ; day += 1) {
  const entries = Array.from({ length: 300 }, (_, n) => entry({ attempt: n + 1, requestId: replica }));
  await checkpointer.audit.append(entries);
  await checkpointer.write();
  await retention.run();
  process.stdout.write(`${day}\n`);
}
