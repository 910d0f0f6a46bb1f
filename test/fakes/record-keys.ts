import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LastPins } from '../../src/audit/decisions.ts';
import { createLastPins } from '../../src/audit/last-pins.ts';
import { createRecordKeys, type RecordKeys } from '../../src/audit/record-keys.ts';
import type { AuditStore } from '../../src/audit/store.ts';
import { createSealer, type Sealer } from '../../src/core/sealer.ts';
import { SecretValue } from '../../src/core/secret-value.ts';

/** The keys that authenticate the records of a test. */
export const RECORD_KEYS: RecordKeys = recordKeys(7);

/** Seals the sessions of a test. */
export const SEALER: Sealer = createSealer([SecretValue.fromBytes(new Uint8Array(32).fill(7))]);

/** @param byte Every byte of the fingerprint key. */
export function recordKeys(byte: number): RecordKeys {
  return createRecordKeys([SecretValue.fromBytes(new Uint8Array(32).fill(byte))]);
}

/** The keys of an installation whose fingerprint key is in this folder. */
export async function recordKeysIn(folder: string): Promise<RecordKeys> {
  const text = await readFile(join(folder, 'fingerprint.key'), 'utf8');
  return createRecordKeys([SecretValue.fromBytes(Buffer.from(text, 'base64'))]);
}

/** The pins of an audit store without checkpoints. */
export function pinsOf(audit: AuditStore, instances: readonly string[]): LastPins {
  return createLastPins({ audit, keys: RECORD_KEYS, instances, checkStore: async () => undefined });
}
