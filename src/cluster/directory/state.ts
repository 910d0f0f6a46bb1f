import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createFingerprinter, type Fingerprinter, keyIdOf } from '../../core/fingerprint.ts';
import { makeFolder } from '../../core/folders.ts';
import { isObject, type JsonObject, parseObject } from '../../core/json.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import { FIELD_MANAGER } from '../cluster.ts';
import { compactEntries, partOf } from '../field-owners.ts';
import { listIn, objectIn, textIn } from '../json.ts';
import {
  entriesIn,
  entryOf,
  type FieldsEntry,
  holdingsOf,
  ownershipIn,
  type Part,
} from '../managed-fields.ts';
import type { RawSecret } from '../manifest.ts';
import { directoryUnavailable, readWithMtime, writeFileAtomically } from './disk.ts';

/**
 * The state that a file records about itself. `labels` and `annotations` contain the names that we own; `held` contains
 * the merged fields. The state has a keyed fingerprint of the value of each name. A folder does not record who changed
 * a value. So if a value does not match its recorded fingerprint, it counts as changed by someone else.
 */
export interface FileState {
  /** `undefined`: no uid is recorded. */
  readonly uid: string | undefined;
  readonly version: number;
  readonly managedFields: readonly JsonObject[] | undefined;
}

export function readState(
  text: unknown,
  id: TargetId,
  raw: RawSecret,
  fingerprints: Fingerprinter | undefined,
): FileState {
  const state = (typeof text === 'string' ? parseObject(text) : undefined) ?? {};
  // If our file was copied to another name, the copy is not ours.
  if (state.place !== formatTarget(id)) return { uid: undefined, version: 0, managedFields: undefined };
  const isUnchanged = (part: Part, name: string, recorded: unknown) => {
    const texts = partOf(raw, part);
    if (!Object.hasOwn(texts, name)) return false;
    // Fingerprints under different keys cannot be compared, so assume that the value is unchanged.
    if (
      fingerprints === undefined ||
      typeof recorded !== 'string' ||
      keyIdOf(recorded) !== fingerprints.keyId
    )
      return true;
    return recorded === fingerprintOf(fingerprints, id, part, name, texts[name]);
  };
  const unchangedNames = (recorded: JsonObject, part: Part): readonly string[] =>
    Object.entries(objectIn(recorded, part) ?? {})
      .filter(([name, fingerprint]) => isUnchanged(part, name, fingerprint))
      .map(([name]) => name);
  const owned = (part: 'labels' | 'annotations') =>
    isObject(state[part]) ? unchangedNames(state, part) : undefined;
  const [labels, annotations] = [owned('labels'), owned('annotations')];
  const appliedEntries: FieldsEntry[] = listIn(state, 'held')
    .filter(isObject)
    .map((entry) => ({
      manager: textIn(entry, 'manager') ?? '',
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      holds: holdingsOf((part) => unchangedNames(entry, part)),
    }));
  const ownEntry =
    labels && annotations
      ? [
          entryOf({
            manager: FIELD_MANAGER,
            operation: 'Update',
            holds: { labels, annotations, data: [] },
          }),
        ]
      : [];
  const managedFields = [...ownEntry, ...compactEntries(appliedEntries)];
  return {
    uid: textIn(state, 'uid'),
    version: Number(state.version ?? 0),
    managedFields: managedFields.length > 0 ? managedFields : undefined,
  };
}

export function writeState(
  raw: RawSecret,
  { uid, version }: { readonly uid: string; readonly version: number },
  fingerprints: Fingerprinter,
): string {
  const metadata = objectIn(raw, 'metadata') ?? {};
  const id = { namespace: textIn(metadata, 'namespace') ?? '', secret: textIn(metadata, 'name') ?? '' };
  const withFingerprints = (part: Part, names: readonly string[]) =>
    Object.fromEntries(
      names.map((name) => [name, fingerprintOf(fingerprints, id, part, name, partOf(raw, part)[name])]),
    );
  const ownership = ownershipIn(metadata, FIELD_MANAGER);
  // The fields that other field managers own. Such fields come from merges.
  const merged = entriesIn(metadata).filter(({ manager }) => manager !== FIELD_MANAGER);
  const appliedEntries = merged.map(({ manager, operation, holds }) => ({
    manager,
    operation,
    labels: withFingerprints('labels', holds.labels),
    annotations: withFingerprints('annotations', holds.annotations),
    data: withFingerprints('data', holds.data),
  }));
  return JSON.stringify({
    uid,
    version,
    place: formatTarget(id),
    ...(ownership && {
      labels: withFingerprints('labels', ownership.labels),
      annotations: withFingerprints('annotations', ownership.annotations),
    }),
    ...(appliedEntries.length > 0 ? { held: appliedEntries } : {}),
  });
}

function fingerprintOf(
  fingerprints: Fingerprinter,
  id: TargetId,
  part: Part,
  name: string,
  text: unknown,
): string {
  const bytes = Buffer.from(String(text ?? ''), part === 'data' ? 'base64' : 'utf8');
  return fingerprints.target(id, new Map([[`${part}/${name}`, SecretValue.fromBytes(bytes)]]));
}

/** The file that stores the fingerprint key: 32 random bytes as base64 text, mode 0600. */
const KEY_FILE = '.merge.key';

export async function readKey(root: string): Promise<Fingerprinter | undefined> {
  const path = join(root, KEY_FILE);
  const contents = await readWithMtime(path);
  if (contents === undefined) return undefined;
  const text = contents.bytes.toString('utf8').trim();
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text))
    throw directoryUnavailable(`${path} is not a key of 32 bytes as base64 text`, { file: path });
  return createFingerprinter(SecretValue.fromBytes(Buffer.from(text, 'base64')));
}

/** Only one process may call this at a time. */
export async function readOrCreateKey(root: string): Promise<Fingerprinter> {
  const existing = await readKey(root);
  if (existing !== undefined) return existing;
  await makeFolder(root);
  const bytes = randomBytes(32);
  await writeFileAtomically(join(root, KEY_FILE), `${bytes.toString('base64')}\n`, true);
  return createFingerprinter(SecretValue.fromBytes(bytes));
}
