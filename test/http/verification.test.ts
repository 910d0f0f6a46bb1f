import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../src/audit/chain.ts';
import type { Checkpoint } from '../../src/audit/checkpoint/checkpoint.ts';
import { createSigner, keysById } from '../../src/audit/checkpoint/signing.ts';
import { createVerification } from '../../src/http/verification.ts';
import { bare } from '../audit/sample.ts';
import { createMemoryAudit, type MemoryAudit } from '../fakes/memory-audit.ts';
import { startTestServer } from './harness.ts';

async function filled(count: number): Promise<MemoryAudit> {
  const audit = createMemoryAudit();
  await audit.append(Array.from({ length: count }, () => bare()));
  return audit;
}

/** Returns the same store, but with altered records. */
function changed(audit: MemoryAudit, change: (records: StoredRecord[]) => StoredRecord[]): MemoryAudit {
  return Object.assign(Object.create(audit), {
    async *storedRecords(from: number) {
      const records: StoredRecord[] = [];
      for await (const record of audit.storedRecords(from)) records.push(record);
      yield* change(records);
    },
  }) as MemoryAudit;
}

const never = new AbortController().signal;

describe('the verification of the audit log', () => {
  it('the verification of the audit log accepts an empty and an intact chain', async () => {
    expect(await createVerification(createMemoryAudit(), never).run()).toMatchObject({
      ok: true,
      records: 0,
      checkpoints: 0,
    });
    expect(await createVerification(await filled(5), never).run()).toMatchObject({
      ok: true,
      records: 5,
      checkpoints: 0,
    });
  });

  it('the verification of the audit log reports the first bad record and the number of valid records before it', async () => {
    const audit = await filled(9);
    const edited = changed(audit, (records) =>
      records.map((record, index) =>
        index === 3 ? { ...record, text: record.text.replace('sweep', 'sweat') } : record,
      ),
    );
    expect(await createVerification(edited, never).run()).toMatchObject({
      ok: false,
      records: 3,
      checkpoints: 0,
      problem: { kind: 'edited', sequence: 4 },
    });
    const cut = changed(audit, (records) => records.slice(0, 7));
    expect((await createVerification(cut, never).run()).problem).toEqual({ kind: 'truncated', sequence: 8 });
  });

  it('the verification of the audit log compares the chain with external checkpoints', async () => {
    const audit = await filled(5);
    const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
    const note = (sequence: number, hash: string) =>
      signer.sign({ sequence, hash, time: '2026-11-25T12:00:00.000Z', instance: 'test' });
    const proof = (checkpoint: Checkpoint) =>
      createVerification(audit, never, async () => ({
        checkpoints: [checkpoint],
        keys: keysById([signer.publicKey]),
      })).run();
    expect(await proof(note(3, audit.records[2]?.hash ?? ''))).toMatchObject({
      ok: true,
      checkpoints: 1,
      sealed: { sequence: 3 },
    });
    expect(await proof(note(3, 'a'.repeat(64)))).toMatchObject({
      ok: false,
      records: 2,
      problem: { kind: 'checkpoint', sequence: 3 },
    });
    expect(await proof(note(9, 'a'.repeat(64)))).toMatchObject({
      ok: false,
      records: 5,
      problem: { kind: 'truncated', sequence: 6 },
    });
  });

  it('the verification of the audit log reports whether a checkpoint was signed with an unknown key', async () => {
    const audit = await filled(5);
    const [signer, other] = [0, 1].map(() => createSigner(generateKeyPairSync('ed25519').privateKey));
    const time = '2026-11-25T12:00:00.000Z';
    const hash = audit.records[2]?.hash ?? '';
    const checkpoints = [other?.sign({ sequence: 3, hash, time, instance: 'test' })].filter(
      (checkpoint) => !!checkpoint,
    );
    const keys = keysById([signer?.publicKey].filter((key) => !!key));
    await using api = await startTestServer({ audit, evidence: async () => ({ checkpoints, keys }) });
    const { json } = await api.get('/api/v1/audit/verify');
    expect(json).toMatchObject({
      ok: false,
      problem: { kind: 'checkpoint', sequence: 3, unknownKey: true },
    });
    expect((await api.get('/api/openapi.json')).json).toHaveProperty(
      'components.schemas.Damage.properties.unknownKey',
    );
  });

  it('concurrent callers share one verification of the audit log, and the first call after this verification starts a new one', async () => {
    const audit = await filled(3);
    let walks = 0;
    const counted = {
      head: () => audit.head(),
      base: () => audit.base(),
      storedRecords(from: number) {
        if (from === 1) walks += 1;
        return audit.storedRecords(from);
      },
    };
    const verification = createVerification(counted, never);
    const [first, second] = await Promise.all([verification.run(), verification.run()]);
    expect([first === second, walks]).toEqual([true, 1]);
    await verification.run();
    expect(walks).toBe(2);
  });

  it('the verification of the audit log yields to other work, and stops when the server closes', async () => {
    const audit = await filled(2_000);
    const closing = new AbortController();
    let turns = 0;
    const tick = () => {
      turns += 1;
      if (turns === 3) closing.abort(new Error('the end'));
      if (turns < 100) setImmediate(tick);
    };
    setImmediate(tick);
    await expect(createVerification(audit, closing.signal).run()).rejects.toThrow('the end');
    expect(turns).toBeLessThan(10);
  });
});
