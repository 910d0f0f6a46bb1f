import { createHash } from 'node:crypto';
import type { Fingerprinter } from '../core/fingerprint.ts';
import { isFingerprint, keyIdOf } from '../core/fingerprint.ts';
import { isObject, parseAny, parseObject } from '../core/json.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import { objectTypeOf } from '../core/read-result.ts';
import { SecretValue } from '../core/secret-value.ts';
import { compareText, type TargetId } from '../core/target.ts';

/** The source of a target key, with its version. */
export interface TargetSource {
  readonly store: string;
  readonly key: string;
  readonly property?: string;
  readonly version: string;
}

/** Labels that mark a target as ours. The annotations record what it was made from. */
export const LABEL = {
  managedBy: 'app.kubernetes.io/managed-by',
  instance: 'secretbridge.dev/instance',
  mapping: 'secretbridge.dev/mapping',
} as const;

export const ANNOTATION = {
  /** JSON: maps each target key to `{ store, key, property?, version }`. Beyond 64 KiB: `{ count, fingerprint }`. */
  sources: 'secretbridge.dev/sources',
  /**
   * JSON: maps each store name to the hash of the store's definition, so that a moved store does not look like a
   * missing source.
   */
  stores: 'secretbridge.dev/stores',
  /** The fingerprint of the target's name and data. */
  fingerprint: 'secretbridge.dev/fingerprint',
  /** The hash of the mapping fields that determine the content of the target. */
  config: 'secretbridge.dev/config',
  onMappingRemoved: 'secretbridge.dev/on-mapping-removed',
} as const;

/** The sequence number of the record to which a target is pinned. It is only information; the audit decides. */
export const PIN = 'secretbridge.dev/pin';

/** JSON: the sources whose keys were removed because the sources are proved gone (`onSourceMissing: removeKeys`). */
export const REMOVED = 'secretbridge.dev/removed';

/** Whether a label or annotation name is one of ours. */
export function isOwnName(name: string): boolean {
  return name.startsWith('secretbridge.dev/') || name === LABEL.managedBy;
}

const MAX_SOURCES_BYTES = 64 * 1024;

export interface OwnershipMetadataInput {
  readonly instance: string;
  readonly id: TargetId;
  readonly mapping: Mapping;
  readonly data: ReadonlyMap<string, SecretValue>;
  readonly sources: ReadonlyMap<string, TargetSource>;
  /** Maps each store name to the hash of the store's definition. */
  readonly stores: ReadonlyMap<string, string>;
  readonly fingerprints: Fingerprinter;
  readonly pin?: PinMetadata | undefined;
  /** Sources that are gone and whose keys were therefore removed, although the mapping still names them. */
  readonly removed?: readonly Source[];
}

export interface PinMetadata {
  readonly to: number;
  /** The mapping without the pin. The `config` hash is computed from it. */
  readonly mapping: Mapping;
}

export interface OwnershipMetadata {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export function ownershipMetadata(input: OwnershipMetadataInput): OwnershipMetadata {
  const { instance, id, mapping, data, sources, fingerprints } = input;
  const used = new Set([...sources.values()].map(({ store }) => store));
  const stores = [...input.stores].filter(([name]) => used.has(name)).sort(([a], [b]) => compareText(a, b));
  return {
    labels: {
      ...mapping.target.labels,
      [LABEL.managedBy]: 'secretbridge',
      [LABEL.instance]: instance,
      [LABEL.mapping]: mapping.name,
    },
    annotations: {
      ...mapping.target.annotations,
      [ANNOTATION.sources]: sourcesText(sources, fingerprints),
      [ANNOTATION.stores]: JSON.stringify(Object.fromEntries(stores)),
      [ANNOTATION.fingerprint]: fingerprints.target(id, data),
      [ANNOTATION.config]: configHash(input.pin?.mapping ?? mapping),
      [ANNOTATION.onMappingRemoved]: mapping.onMappingRemoved,
      ...(input.pin === undefined ? {} : { [PIN]: String(input.pin.to) }),
      ...removedAnnotation(input.removed ?? []),
    },
  };
}

function sourcesText(sources: ReadonlyMap<string, TargetSource>, fingerprints: Fingerprinter): string {
  const text = JSON.stringify(Object.fromEntries([...sources].sort(([a], [b]) => compareText(a, b))));
  if (Buffer.byteLength(text) <= MAX_SOURCES_BYTES) return text;
  return JSON.stringify({ count: sources.size, fingerprint: fingerprints.value(SecretValue.fromText(text)) });
}

/** If the list is too long for the annotation, leave it out. The sources are then read again. */
function removedAnnotation(sources: readonly Source[]): Readonly<Record<string, string>> {
  const texts = [...new Set(sources.map(removedText))].sort(compareText);
  const text = `[${texts.join(',')}]`;
  return texts.length > 0 && Buffer.byteLength(text) <= MAX_SOURCES_BYTES ? { [REMOVED]: text } : {};
}

function removedText(source: Source): string {
  const { store, key } = source;
  const object = objectTypeOf(source);
  return JSON.stringify({ store, key, ...(object === 'secret' ? {} : { object }) });
}

/** Whether the annotation lists this source as removed. */
export function isListedAsRemoved(text: string | undefined, source: Source): boolean {
  const parsed = text === undefined ? undefined : parseAny(text);
  return Array.isArray(parsed) && parsed.some((entry) => JSON.stringify(entry) === removedText(source));
}

const configHashes = new WeakMap<Mapping, string>();

/**
 * Returns the hash of the mapping fields that require a write when they change. Other fields, such as refresh and
 * policies, require no write. The hash is cached, because each event of each target needs it and mappings are
 * immutable.
 */
export function configHash(mapping: Mapping): string {
  const hash = configHashes.get(mapping) ?? shortHash(hashedFields(mapping));
  configHashes.set(mapping, hash);
  return hash;
}

function hashedFields({ name, target, data, dataFrom, template }: Mapping): object {
  const { secret, type, labels, annotations, immutable, mode } = target;
  // Leave out fields that are derived from the store kind and are not part of the mapping's configuration.
  const entries = dataFrom.map((entry) => ({ ...entry, isFlat: undefined, unlisted: undefined }));
  return { name, secret, type, labels, annotations, immutable, mode, data, dataFrom: entries, template };
}

/**
 * Use this only for configuration, which contains no secret values. Anybody could verify guesses against an unkeyed
 * hash.
 */
export function shortHash(value: unknown): string {
  return createHash('sha256').update(sortedJson(value)).digest('hex').slice(0, 32);
}

function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    isObject(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => compareText(a, b))) : part,
  );
}

/** Returns the sequence number of the record to which a target is pinned. Reads it from the target's annotation. */
export function parsePin(annotations: Readonly<Record<string, string>>): number | undefined {
  const text = annotations[PIN];
  return text !== undefined && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}

/**
 * Returns the sources that an annotation lists. Undefined if the annotation is missing, damaged or contains only a
 * count.
 */
export function parseSources(text: string | undefined): ReadonlyMap<string, TargetSource> | undefined {
  const parsed = parseObject(text);
  if (parsed === undefined) return undefined;
  const entries = Object.entries(parsed);
  return entries.every((entry): entry is [string, TargetSource] => isTargetSource(entry[1]))
    ? new Map(entries)
    : undefined;
}

/** Returns the number of sources, if the annotation contains only a count. */
export function countOfSources(text: string | undefined): number | undefined {
  const { count, fingerprint } = parseObject(text) ?? {};
  return typeof count === 'number' && typeof fingerprint === 'string' ? count : undefined;
}

/** Maps each store name to the hash of the store's definition at the last write. */
export function parseStores(text: string | undefined): ReadonlyMap<string, string> | undefined {
  const entries = Object.entries(parseObject(text) ?? {});
  return entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')
    ? new Map(entries)
    : undefined;
}

function isTargetSource(value: unknown): value is TargetSource {
  if (typeof value !== 'object' || value === null) return false;
  const { store, key, property, version } = value as Partial<Record<keyof TargetSource, unknown>>;
  const texts = [store, key, version, property ?? ''];
  return texts.every((part) => typeof part === 'string');
}

/** Whether all desired labels or annotations exist with their desired values. Others may exist too. */
export function hasAll(
  live: Readonly<Record<string, string>>,
  desired: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(desired).every(([name, value]) => live[name] === value);
}

/**
 * Whether two values of an annotation count as equal. Fingerprints under different keys cannot be compared, so they
 * count as equal and cause no write. The next write renews them.
 */
export function isEquivalentMetadata(name: string, live: string | undefined, desired: string): boolean {
  if (live === desired) return true;
  if (live === undefined) return false;
  if (name === ANNOTATION.fingerprint) return isUnderOtherKey(live, desired);
  if (name !== ANNOTATION.sources) return false;
  const [a, b] = [parseSources(live), parseSources(desired)];
  if (a === undefined || b === undefined) return sameCount(live, desired);
  if (a.size !== b.size) return false;
  return [...b].every(([key, source]) => {
    const other = a.get(key);
    return (
      other !== undefined &&
      other.store === source.store &&
      other.key === source.key &&
      other.property === source.property &&
      (other.version === source.version || isUnderOtherKey(other.version, source.version))
    );
  });
}

/** Compares two annotations that contain only a count. */
function sameCount(live: string, desired: string): boolean {
  const [a, b] = [live, desired].map((text) => parseObject(text));
  const isKnown = countOfSources(live) !== undefined && countOfSources(live) === countOfSources(desired);
  return isKnown && isUnderOtherKey(String(a?.fingerprint), String(b?.fingerprint));
}

/** Whether both texts are fingerprints under different keys. Such fingerprints cannot be compared. */
export function isUnderOtherKey(a: string, b: string): boolean {
  return isFingerprint(a) && isFingerprint(b) && keyIdOf(a) !== keyIdOf(b);
}

/** Whether the store's current version differs from the written version. */
export function isNewVersion(written: string, current: string): boolean {
  return written !== current && !isUnderOtherKey(written, current);
}

// The two names of a merge, its field manager and its annotation, must fit the limits of the API server.

/** The API server allows 128 bytes: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers */
const MAX_MANAGER = 128;

export function mergeManager(instance: string, mapping: string): string {
  const name = `secretbridge.${instance}.${mapping}`;
  return name.length <= MAX_MANAGER ? name : `secretbridge.${mergeDigest(instance, mapping)}`;
}

export const MERGE_ANNOTATION_PREFIX = 'secretbridge.dev/merge-';

/**
 * Returns the annotation name for one mapping. It contains a hash instead of the names of the instance and the mapping,
 * because two names of 63 characters would exceed the limit.
 */
export function mergeAnnotation(instance: string, mapping: string): string {
  return `${MERGE_ANNOTATION_PREFIX}${mergeDigest(instance, mapping).slice(0, 16)}`;
}

function mergeDigest(instance: string, mapping: string): string {
  return createHash('sha256')
    .update(JSON.stringify([instance, mapping]))
    .digest('hex');
}
