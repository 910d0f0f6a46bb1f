import { generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { expect } from 'vitest';
import { authenticAudit } from '../../../src/audit/authentic-audit.ts';
import {
  type Checkpoint,
  type CheckpointLocation,
  parseCheckpoints,
} from '../../../src/audit/checkpoint/checkpoint.ts';
import { createCheckpointer } from '../../../src/audit/checkpoint/checkpointer.ts';
import { createSigner, keysById } from '../../../src/audit/checkpoint/signing.ts';
import { createLastPins } from '../../../src/audit/last-pins.ts';
import { readVerifyInput, verifyWithEvidence } from '../../../src/audit/verify/verify.ts';
import { rollBackLocally, unpinLocally } from '../../../src/commands/rollback.ts';
import { AppError } from '../../../src/core/errors.ts';
import { RECORD_KEYS } from '../../fakes/record-keys.ts';
import { type AuditParts, openWorld, type World } from '../../reconcile/world.ts';
import { type AttackChange, type Attacked, attackChanges } from './audit-changes.ts';
import type { AttackedDatabase, Tables } from './audit-database.ts';

/** One target that was rolled back and follows its sources again, and one whose source is absent for the second time. */
const MAPPINGS = `
  - name: db
    target: { namespace: apps }
    data:
      USER: { store: vault, key: db, property: user }
      PASSWORD: { store: vault, key: db, property: password }
  - name: token
    target: { namespace: apps }
    data: { TOKEN: { store: vault, key: token } }
  - name: old
    target: { namespace: apps }
    onSourceMissing: delete
    data: { OLD: { store: vault, key: old } }
`;

/** A checkpoint place that keeps lines in memory. */
class Place implements CheckpointLocation {
  readonly name: string;
  lines: string[] = [];

  constructor(name: string) {
    this.name = name;
  }

  write = async (checkpoint: Checkpoint): Promise<void> => {
    this.lines.push(JSON.stringify(checkpoint));
  };
  checkWritable = async (): Promise<void> => undefined;
  read = async (): Promise<readonly Checkpoint[]> => parseCheckpoints(this.lines.join('\n'));
}

/**
 * Plays `count` rounds. In each round, somebody without keys changes the database and one of two checkpoint places.
 * Then no change at or below the last checkpoint verifies as intact. A sync writes nothing to the cluster, because neither
 * the configuration nor the stores ask for a write.
 */
export async function playAuditGame(database: AttackedDatabase, count: number, seed: number): Promise<void> {
  const places = { attacked: new Place('attacked'), safe: new Place('safe') };
  const signer = createSigner(generateKeyPairSync('ed25519').privateKey);
  const keys = keysById([signer.publicKey]);
  const world = await openWorld({ mappings: MAPPINGS, openAudit: openerOf(database, places, signer, keys) });
  await writeHistory(world);
  const original = { tables: await database.read(), lines: [...places.attacked.lines] };
  const safeLines = [...places.safe.lines];
  const { length } = original.tables.records;
  const writes = world.cluster.writes.length;
  let attempts = 0;

  async function attack(changes: readonly AttackChange[]): Promise<void> {
    const state: Attacked = structuredClone(original);
    for (const change of changes) change.apply(state);
    await database.write(state.tables);
    places.attacked.lines = state.lines;
    places.safe.lines = [...safeLines];
    const evidence = async () => ({
      checkpoints: [...(await places.attacked.read()), ...(await places.safe.read())],
      keys,
      recordKeys: RECORD_KEYS,
    });
    if (isRewritten(original.tables, state.tables)) {
      const store = await database.open('verifier', world.clock);
      const report = await verifyWithEvidence({
        ...(await readVerifyInput(store)),
        evidence: await evidence(),
      });
      await store[Symbol.asyncDispose]();
      expect(report.ok, 'a rewritten log must not verify as intact').toBe(false);
    }
    try {
      await world.sync();
    } catch (error) {
      // The log is in such a state that nothing is done at all. This is how it must be.
      if (!(error instanceof AppError)) throw error;
    }
    attempts += 1;
    expect(world.cluster.writes.length, 'nothing asks for a write').toBe(writes);
  }

  console.log(`the attack game runs ${count} rounds with seed ${seed}`);
  const property = fc.asyncProperty(fc.array(attackChanges(length), { minLength: 1, maxLength: 3 }), attack);
  await fc.assert(property, { numRuns: count, seed, endOnFailure: true });
  expect(attempts).toBeGreaterThanOrEqual(count);
}

function openerOf(
  database: AttackedDatabase,
  places: { readonly attacked: Place; readonly safe: Place },
  signer: ReturnType<typeof createSigner>,
  keys: ReturnType<typeof keysById>,
) {
  return async (replica: string, clock: World['clock']): Promise<AuditParts> => {
    const store = await database.open(replica, clock);
    const checkpoints = createCheckpointer({
      ...{ audit: store, locations: [places.attacked, places.safe], signer, keys, clock },
      ...{ instance: 'prod', instances: ['prod'], onFailure: () => undefined },
    });
    await checkpoints.checkStore();
    const checkStore = () => checkpoints.checkStore();
    const pins = createLastPins({ audit: store, keys: RECORD_KEYS, instances: ['prod'], checkStore });
    return {
      audit: authenticAudit(checkpoints.audit, RECORD_KEYS, () => undefined),
      storedAudit: checkpoints.audit,
      pins,
      checkpoints,
      async [Symbol.asyncDispose]() {
        await checkpoints[Symbol.asyncDispose]();
        await store[Symbol.asyncDispose]();
      },
    };
  };
}

/** Makes a log with rotations, a pin that has ended, and an absence that is not proved yet. */
async function writeHistory(world: World): Promise<void> {
  const put = (version: string) => world.store.put('db', `{"user":"ann","password":"${version}"}`, version);
  world.store.put('old', 'old');
  put('1');
  await world.sync();
  put('2');
  await world.sync();
  {
    await using process = await world.start();
    const [first] = await process.app.audit.list(
      { action: 'create', secret: 'db', phase: 'outcome' },
      { limit: 1 },
    );
    await rollBackLocally(process.app, { mapping: 'db', to: first?.sequence ?? 0 });
    await unpinLocally(process.app, { mapping: 'db' });
  }
  put('3');
  await world.sync();
  world.store.absent('old');
  await world.clock.advance(3_600_000);
  await world.sync();
}

/** Whether the texts of the original records are no longer what they were. All of them are below the last checkpoint. */
function isRewritten(original: Tables, changed: Tables): boolean {
  const textsOf = ({ records }: Tables) =>
    new Map(records.map(({ sequence, record, hash }) => [sequence, `${String(hash)} ${String(record)}`]));
  const now = textsOf(changed);
  return [...textsOf(original)].some(([sequence, text]) => now.get(sequence) !== text);
}
