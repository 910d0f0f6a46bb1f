import { isObject, type JsonObject } from '../core/json.ts';
import type { TargetId } from '../core/target.ts';
import { FIELD_MANAGER, type SecretMeta } from './cluster.ts';
import { listIn, objectIn, textIn } from './json.ts';
import { entriesIn, mergeHoldings } from './managed-fields.ts';
import { stringMapIn } from './manifest.ts';

/** Our writes replace these fields of a Secret completely. */
const CONTENT = ['f:data', 'f:stringData'] as const;
const SCALARS = ['f:type', 'f:immutable'] as const;

/** Returns `undefined` if the object is not the metadata of a Secret in this namespace. */
export function toMeta(item: JsonObject, namespace: string): SecretMeta | undefined {
  const metadata = objectIn(item, 'metadata') ?? {};
  const secret = textIn(metadata, 'name');
  const uid = textIn(metadata, 'uid');
  const resourceVersion = textIn(metadata, 'resourceVersion');
  const labels = stringMapIn(metadata, 'labels');
  const annotations = stringMapIn(metadata, 'annotations');
  if (metadata.namespace !== namespace || !secret) return undefined;
  if (!uid || !resourceVersion || !labels || !annotations) return undefined;
  const id: TargetId = { namespace, secret };
  const ownEntries = entriesIn(metadata).filter(({ manager }) => manager === FIELD_MANAGER);
  return {
    id,
    uid,
    resourceVersion,
    labels,
    annotations,
    deleting: textIn(metadata, 'deletionTimestamp') !== undefined,
    ours: ownEntries.length > 0 ? mergeHoldings(ownEntries) : undefined,
    foreign: isChangedByOthers(metadata),
  };
}

/**
 * Whether another manager owns part of the content, or we own nothing. If somebody deletes a key, no manager owns it,
 * and the key is missing from `ours`.
 */
function isChangedByOthers(metadata: JsonObject): boolean {
  const entries = listIn(metadata, 'managedFields').filter(isObject);
  const isOurs = (entry: JsonObject) => entry.manager === FIELD_MANAGER && entry.operation === 'Update';
  return !entries.some(isOurs) || entries.some((entry) => !isOurs(entry) && holdsContent(entry));
}

function holdsContent(entry: JsonObject): boolean {
  const fields = objectIn(entry, 'fieldsV1') ?? {};
  // `.` is the map itself. The first writer of the map stays its owner even if others write its members.
  const members = (name: string) => Object.keys(objectIn(fields, name) ?? {}).filter((key) => key !== '.');
  return SCALARS.some((name) => name in fields) || CONTENT.some((name) => members(name).length > 0);
}
