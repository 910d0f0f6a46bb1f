import { isObject, type JsonObject } from '../core/json.ts';
import type { TargetId } from '../core/target.ts';
import { FIELD_MANAGER, type SecretMeta } from './cluster.ts';
import { listIn, objectIn, textIn } from './json.ts';
import { entriesIn, together } from './managed-fields.ts';
import { textsIn } from './manifest.ts';

/** The parts of a Secret that a write of ours sets whole. */
const CONTENT = ['f:data', 'f:stringData'] as const;
const SCALARS = ['f:type', 'f:immutable'] as const;

/** `undefined`: not the metadata of an object that a cluster would give as a Secret of this namespace. */
export function toMeta(item: JsonObject, namespace: string): SecretMeta | undefined {
  const metadata = objectIn(item, 'metadata') ?? {};
  const secret = textIn(metadata, 'name');
  const uid = textIn(metadata, 'uid');
  const resourceVersion = textIn(metadata, 'resourceVersion');
  const labels = textsIn(metadata, 'labels');
  const annotations = textsIn(metadata, 'annotations');
  if (metadata.namespace !== namespace || !secret) return undefined;
  if (!uid || !resourceVersion || !labels || !annotations) return undefined;
  const id: TargetId = { namespace, secret };
  const ours = entriesIn(metadata).filter(({ manager }) => manager === FIELD_MANAGER);
  return {
    id,
    uid,
    resourceVersion,
    labels,
    annotations,
    deleting: textIn(metadata, 'deletionTimestamp') !== undefined,
    ours: ours.length > 0 ? together(ours) : undefined,
    foreign: holdsForeign(metadata),
  };
}

/**
 * Whether anybody beside us holds a part of the content, or we hold nothing. A key that was taken out is held by
 * nobody afterwards: that shows in what is left of `ours`.
 */
function holdsForeign(metadata: JsonObject): boolean {
  const entries = listIn(metadata, 'managedFields').filter(isObject);
  const isOurs = (entry: JsonObject) => entry.manager === FIELD_MANAGER && entry.operation === 'Update';
  return !entries.some(isOurs) || entries.some((entry) => !isOurs(entry) && holdsContent(entry));
}

function holdsContent(entry: JsonObject): boolean {
  const fields = objectIn(entry, 'fieldsV1') ?? {};
  // `.` is the map itself, which its first writer goes on holding whoever writes its members.
  const members = (name: string) => Object.keys(objectIn(fields, name) ?? {}).filter((key) => key !== '.');
  return SCALARS.some((name) => name in fields) || CONTENT.some((name) => members(name).length > 0);
}
