import { type Fingerprinter, keyIdOf } from '../../core/fingerprint.ts';
import { isObject, type JsonObject, parseObject } from '../../core/json.ts';
import { SecretValue } from '../../core/secret-value.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import { FIELD_MANAGER } from '../cluster.ts';
import { compact, partOf } from '../field-owners.ts';
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

/**
 * What a file notes about itself. `labels` and `annotations` are those that we own and `held` is what was merged, each
 * name with the keyed fingerprint of its value: in a folder nobody notes who changed what, but a value of another
 * fingerprint is no longer the one that was written.
 */
export interface FileState {
  /** `undefined`: nothing is noted. */
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
  // A copy of one of our files under another name is not ours.
  if (state.place !== formatTarget(id)) return { uid: undefined, version: 0, managedFields: undefined };
  const unchanged = (part: Part, name: string, noted: unknown) => {
    const texts = partOf(raw, part);
    if (!Object.hasOwn(texts, name)) return false;
    // Under another key a fingerprint says nothing, so what was noted stands.
    if (fingerprints === undefined || typeof noted !== 'string' || keyIdOf(noted) !== fingerprints.keyId)
      return true;
    return noted === fingerprintOf(fingerprints, id, part, name, texts[name]);
  };
  const namesIn = (noted: JsonObject, part: Part): readonly string[] =>
    Object.entries(objectIn(noted, part) ?? {})
      .filter(([name, its]) => unchanged(part, name, its))
      .map(([name]) => name);
  const owned = (part: 'labels' | 'annotations') =>
    isObject(state[part]) ? namesIn(state, part) : listedIn(state, part);
  const [labels, annotations] = [owned('labels'), owned('annotations')];
  const held: FieldsEntry[] = listIn(state, 'held')
    .filter(isObject)
    .map((entry) => ({
      manager: textIn(entry, 'manager') ?? '',
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      holds: holdingsOf((part) => namesIn(entry, part)),
    }));
  const ours =
    labels && annotations
      ? [
          entryOf({
            manager: FIELD_MANAGER,
            operation: 'Update',
            holds: { labels, annotations, data: [] },
          }),
        ]
      : [];
  const managedFields = [...ours, ...compact(held)];
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
  const noted = (part: Part, names: readonly string[]) =>
    Object.fromEntries(
      names.map((name) => [name, fingerprintOf(fingerprints, id, part, name, partOf(raw, part)[name])]),
    );
  const ours = ownershipIn(metadata, FIELD_MANAGER);
  // Beside what the bridge owns itself.
  const merged = entriesIn(metadata).filter(({ manager }) => manager !== FIELD_MANAGER);
  const held = merged.map(({ manager, operation, holds }) => ({
    manager,
    operation,
    labels: noted('labels', holds.labels),
    annotations: noted('annotations', holds.annotations),
    data: noted('data', holds.data),
  }));
  return JSON.stringify({
    uid,
    version,
    place: formatTarget(id),
    ...(ours && {
      labels: noted('labels', ours.labels),
      annotations: noted('annotations', ours.annotations),
    }),
    ...(held.length > 0 ? { held } : {}),
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

/** Names alone, as they were noted once: they say nothing of the values. */
function listedIn(state: JsonObject, part: Part): readonly string[] | undefined {
  const list = state[part];
  return Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : undefined;
}
