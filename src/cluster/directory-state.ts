import { type Fingerprinter, keyIdOf } from '../core/fingerprint.ts';
import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import { SecretValue } from '../core/secret-value.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { FIELD_MANAGER } from './cluster.ts';
import { compact, partOf } from './field-owners.ts';
import { listIn, objectIn, textIn } from './json.ts';
import {
  entriesIn,
  entryOf,
  type FieldsEntry,
  holdingsOf,
  ownershipIn,
  type Part,
} from './managed-fields.ts';
import type { RawSecret } from './manifest.ts';

/**
 * What a file notes about itself. `labels` and `annotations` are the names that we own; `held` is what was merged,
 * each name with the keyed fingerprint of its value: in a folder nobody notes who changed what, but a value of
 * another fingerprint is no longer the one that was merged.
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
  const [labels, annotations] = [namesIn(state, 'labels'), namesIn(state, 'annotations')];
  const unchanged = (part: Part, name: string, noted: unknown) => {
    const texts = partOf(raw, part);
    if (!Object.hasOwn(texts, name)) return false;
    // Under another key a fingerprint says nothing, so what was noted stands.
    if (fingerprints === undefined || typeof noted !== 'string' || keyIdOf(noted) !== fingerprints.keyId)
      return true;
    return noted === fingerprintOf(fingerprints, id, part, name, texts[name]);
  };
  const held: FieldsEntry[] = listIn(state, 'held')
    .filter(isObject)
    .map((entry) => ({
      manager: textIn(entry, 'manager') ?? '',
      operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
      holds: holdingsOf((part) =>
        Object.entries(objectIn(entry, part) ?? {})
          .filter(([name, noted]) => unchanged(part, name, noted))
          .map(([name]) => name),
      ),
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

/** @param fingerprints Needed where something is merged. */
export function writeState(
  raw: RawSecret,
  { uid, version }: { readonly uid: string; readonly version: number },
  fingerprints: Fingerprinter | undefined,
): string {
  const metadata = objectIn(raw, 'metadata') ?? {};
  const id = { namespace: textIn(metadata, 'namespace') ?? '', secret: textIn(metadata, 'name') ?? '' };
  const held = mergedEntries(raw).map(({ manager, operation, holds }) => {
    const noted = (part: Part) =>
      Object.fromEntries(
        holds[part].map((name) => [
          name,
          fingerprints ? fingerprintOf(fingerprints, id, part, name, partOf(raw, part)[name]) : '',
        ]),
      );
    return {
      manager,
      operation,
      labels: noted('labels'),
      annotations: noted('annotations'),
      data: noted('data'),
    };
  });
  return JSON.stringify({
    uid,
    version,
    place: formatTarget(id),
    ...ownershipIn(metadata, FIELD_MANAGER),
    ...(held.length > 0 ? { held } : {}),
  });
}

/** What is held by merges, beside what the bridge owns itself. */
export function mergedEntries(raw: RawSecret): readonly FieldsEntry[] {
  return entriesIn(objectIn(raw, 'metadata') ?? {}).filter(({ manager }) => manager !== FIELD_MANAGER);
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

function namesIn(state: JsonObject, part: Part): readonly string[] | undefined {
  const list = state[part];
  return Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : undefined;
}
