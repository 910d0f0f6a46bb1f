import { isObject, type JsonObject, parseObject } from '../core/json.ts';
import type { LiveSecret, MergeManifest, SecretChange, SecretManifest } from '../core/secret.ts';
import { SecretValue } from '../core/secret-value.ts';
import { compareText, formatTarget, type TargetId } from '../core/target.ts';
import { FIELD_MANAGER, type SecretMeta } from './cluster.ts';
import { type KubeResponse, unexpectedResponse } from './errors.ts';
import { listIn, objectIn, textIn } from './json.ts';
import { entriesIn, mergeHoldings, ownershipIn } from './managed-fields.ts';

/**
 * A Secret as returned by the cluster, including unknown fields. A PUT replaces the whole object. It would delete every
 * field that we left out: finalizers, fields of a newer API version, labels of other writers.
 */
export type RawSecret = JsonObject;

/** Returns `undefined` if the object is not the Secret that was requested. */
export function toLive(raw: RawSecret, id: TargetId): LiveSecret | undefined {
  const metadata = objectIn(raw, 'metadata');
  if (raw.apiVersion !== 'v1' || raw.kind !== 'Secret' || metadata === undefined) return undefined;
  const uid = textIn(metadata, 'uid');
  const resourceVersion = textIn(metadata, 'resourceVersion');
  const labels = stringMapIn(metadata, 'labels');
  const annotations = stringMapIn(metadata, 'annotations');
  const data = stringMapIn(raw, 'data');
  if (metadata.name !== id.secret || metadata.namespace !== id.namespace) return undefined;
  if (!uid || !resourceVersion || !labels || !annotations || !data) return undefined;
  return {
    id,
    uid,
    resourceVersion,
    type: textIn(raw, 'type') ?? 'Opaque',
    immutable: raw.immutable === true,
    labels,
    annotations,
    data: new Map(Object.entries(data).map(([key, text]) => [key, decode(text)])),
    controlled: listIn(metadata, 'ownerReferences').some(
      (owner) => isObject(owner) && owner.controller === true,
    ),
    deleting: textIn(metadata, 'deletionTimestamp') !== undefined,
    ours: ownershipIn(metadata, FIELD_MANAGER),
  };
}

export function newSecret(id: TargetId, manifest: SecretManifest): RawSecret {
  const { type, immutable, labels, annotations, data } = manifest;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: id.secret,
      namespace: id.namespace,
      labels: { ...labels },
      annotations: { ...annotations },
    },
    type,
    ...(immutable ? { immutable } : {}),
    data: encodeAll(data),
  };
}

/** Returns the original object with only our changes applied. */
export function changedSecret(raw: RawSecret, change: SecretChange): RawSecret {
  const { immutable, stringData: _, ...rest } = raw;
  const { ownerReferences, ...metadata } = objectIn(raw, 'metadata') ?? {};
  return {
    ...rest,
    metadata: {
      ...metadata,
      ...(ownerReferences === undefined || change.dropOwners ? {} : { ownerReferences }),
      labels: mergedMetadata(metadata, 'labels', change.labels, change.dropLabels),
      annotations: mergedMetadata(metadata, 'annotations', change.annotations, change.dropAnnotations),
    },
    type: change.type,
    // Send `immutable` only if it was set before or is wanted, because the server rejects `false` on an immutable
    // Secret.
    ...(change.immutable || immutable !== undefined ? { immutable: change.immutable } : {}),
    data: encodeAll(change.data),
  };
}

/**
 * Returns the body of an apply request: exactly the fields that its manager shall own. Empty maps are left out, because
 * `data: {}` would claim the map itself. The `uid` keeps the API server from recreating a deleted Secret and from
 * writing into a new Secret with the same name.
 */
export function appliedSecret({ id, uid }: LiveSecret, manifest: MergeManifest): RawSecret {
  const { labels, annotations } = manifest;
  const data = encodeAll(manifest.data);
  const unlessEmpty = (name: string, map: object) => (Object.keys(map).length > 0 ? { [name]: map } : {});
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: id.secret,
      namespace: id.namespace,
      uid,
      ...unlessEmpty('labels', labels),
      ...unlessEmpty('annotations', annotations),
    },
    ...unlessEmpty('data', data),
  };
}

/** Whether the API server would reject the change in place, so that the Secret must be deleted and created again. */
export function needsRecreation(live: LiveSecret, change: SecretManifest): boolean {
  if (live.type !== change.type) return true;
  if (!live.immutable) return false;
  return !change.immutable || live.data.size !== change.data.size || !sameData(live.data, change.data);
}

function sameData(a: ReadonlyMap<string, SecretValue>, b: ReadonlyMap<string, SecretValue>): boolean {
  return [...a].every(([key, value]) => b.get(key)?.equals(value) ?? false);
}

function mergedMetadata(
  metadata: JsonObject,
  part: 'labels' | 'annotations',
  desired: Readonly<Record<string, string>>,
  drop: readonly string[],
): JsonObject {
  const kept = Object.entries(objectIn(metadata, part) ?? {}).filter(([name]) => !drop.includes(name));
  return Object.fromEntries([...kept, ...Object.entries(desired)]);
}

/** Reads a map of strings. `undefined`: the value has another type. */
export function stringMapIn(parent: JsonObject, name: string): Readonly<Record<string, string>> | undefined {
  const entries = Object.entries(objectIn(parent, name) ?? {});
  // The API server treats a null value as empty.
  const texts = entries.map(([key, value]) => [key, value ?? ''] as const);
  return texts.every((entry): entry is [string, string] => typeof entry[1] === 'string')
    ? Object.fromEntries(texts)
    : undefined;
}

function decode(base64: string): SecretValue {
  return SecretValue.fromBytes(Buffer.from(base64, 'base64'));
}

/** Use `Object.fromEntries`, because Kubernetes allows the key `__proto__`, which an assignment would not set. */
function encodeAll(data: ReadonlyMap<string, SecretValue>): JsonObject {
  const entries = [...data].sort(([a], [b]) => compareText(a, b));
  return Object.fromEntries(entries.map(([key, value]) => [key, value.revealText('base64')]));
}

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
 * Whether another manager owns part of the content, or we own nothing. Does not detect that somebody else deleted a
 * key, because a deleted key has no owner. A deleted key is missing from `ours`.
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

/** Returns the resourceVersion of the written object. A login page contains none, so it is rejected. */
export function versionIn(response: KubeResponse, id: TargetId): string {
  const item = parseObject(response.text) ?? {};
  const metadata = objectIn(item, 'metadata') ?? {};
  const resourceVersion = textIn(metadata, 'resourceVersion');
  const isSecret = item.kind === 'PartialObjectMetadata' || item.kind === 'Secret';
  const isSame = metadata.name === id.secret && metadata.namespace === id.namespace;
  if (!isSecret || !isSame || !resourceVersion) throw unexpectedResponse(formatTarget(id));
  return resourceVersion;
}

/**
 * Whether a response confirms a deletion. The API server returns a Status of success, or the object itself if
 * finalizers delay the deletion. A login page confirms nothing.
 */
export function isRemoved(response: KubeResponse, id: TargetId): boolean {
  const body = parseObject(response.text) ?? {};
  return body.kind === 'Status' ? body.status === 'Success' : toLive(body, id) !== undefined;
}

/** A dry run writes no new version. */
export function dryRunVersionIn(response: KubeResponse, id: TargetId): string {
  if (parseObject(response.text)?.kind === 'Secret') return '0';
  throw unexpectedResponse(formatTarget(id));
}
