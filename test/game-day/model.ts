import { parseDocument } from 'yaml';

// What the documentation says about a team's ConfigMap, written a second time. So this file imports nothing of `src`.

export type Texts = Readonly<Record<string, string>>;

/** A ConfigMap as the API server showed it at one time. */
export interface MapVersion {
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly labels: Texts;
  readonly data: Texts;
  readonly binaryData: Texts;
  readonly isDeleted: boolean;
}

interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values?: readonly string[];
}

export interface Selector {
  readonly matchLabels?: Texts;
  readonly matchExpressions?: readonly Requirement[];
}

/** The bounds that the operator sets. The first entry that selects a ConfigMap applies to it. */
export interface Rules {
  readonly entries: readonly {
    readonly isFor: (namespace: string) => boolean;
    readonly selector: Selector;
    readonly stores: readonly string[];
  }[];
  /** The keys of a team begin with this prefix, a slash, the namespace and a slash. */
  readonly prefix: string;
}

export interface ModelSource {
  readonly store: string;
  readonly key: string;
  readonly property: string;
}

export interface ModelMapping {
  /** The complete name, with the namespace. */
  readonly name: string;
  readonly secret: string;
  readonly sources: Readonly<Record<string, ModelSource>>;
  readonly whenRemoved: 'keep' | 'delete';
  /** Whether all sources are within the bounds. */
  readonly isAllowed: boolean;
}

/** `ignored`: no entry selects the ConfigMap, or the ConfigMap does not exist. */
export type Judgement =
  | { readonly kind: 'ignored' | 'broken' }
  | { readonly kind: 'valid'; readonly mappings: readonly ModelMapping[] };

const BROKEN: Judgement = { kind: 'broken' };

export function judge(version: MapVersion, rules: Rules): Judgement {
  const entry = rules.entries.find(
    ({ isFor, selector }) => isFor(version.namespace) && selects(selector, version.labels),
  );
  if (version.isDeleted || entry === undefined) return { kind: 'ignored' };
  const { 'mappings.yaml': text, ...others } = version.data;
  if (text === undefined || Object.keys({ ...others, ...version.binaryData }).length > 0) return BROKEN;
  const document = parseDocument(text);
  const content: unknown = document.errors.length > 0 ? undefined : document.toJS();
  if (!isObject(content) || !hasOnly(content, ['mappings']) || !Array.isArray(content.mappings))
    return BROKEN;
  const bounds = { stores: entry.stores, keys: `${rules.prefix}/${version.namespace}/` };
  const mappings = content.mappings.map((item: unknown) => mappingIn(item, version.namespace, bounds));
  const valid = mappings.filter((mapping) => mapping !== undefined);
  const isUnique = (names: readonly string[]) => new Set(names).size === names.length;
  const areAllUsable =
    valid.length === mappings.length &&
    isUnique(valid.map(({ name }) => name)) &&
    isUnique(valid.map(({ secret }) => secret));
  return areAllUsable ? { kind: 'valid', mappings: valid } : BROKEN;
}

/** Returns undefined for a mapping that breaks its ConfigMap. */
function mappingIn(
  item: unknown,
  namespace: string,
  bounds: { readonly stores: readonly string[]; readonly keys: string },
): ModelMapping | undefined {
  if (!isObject(item) || !hasOnly(item, ['name', 'target', 'data', 'onMappingRemoved'])) return undefined;
  const { name, target = {}, data = {}, onMappingRemoved = 'keep' } = item;
  // A mapping of a ConfigMap must not name a namespace.
  if (typeof name !== 'string' || !isObject(target) || !hasOnly(target, ['secret'])) return undefined;
  if (!isObject(data) || (onMappingRemoved !== 'keep' && onMappingRemoved !== 'delete')) return undefined;
  const sources: Record<string, ModelSource> = {};
  for (const [dataKey, source] of Object.entries(data)) {
    if (!isObject(source) || !hasOnly(source, ['store', 'key', 'property'])) return undefined;
    const { store, key, property } = source;
    if (typeof store !== 'string' || typeof key !== 'string' || typeof property !== 'string')
      return undefined;
    // The store has no such keys.
    if (key.split('/').some((segment) => ['', '.', '..'].includes(segment))) return undefined;
    sources[dataKey] = { store, key, property };
  }
  return {
    name: `${namespace}.${name}`,
    secret: typeof target.secret === 'string' ? target.secret : name,
    sources,
    whenRemoved: onMappingRemoved,
    isAllowed: Object.values(sources).every(
      ({ store, key }) => bounds.stores.includes(store) && key.startsWith(bounds.keys),
    ),
  };
}

/** What the stores contain, by key. */
export type Contents = ReadonlyMap<string, Texts>;

/** The data that a Secret must have, or the codes with which its mapping may be refused. */
export type Outcome =
  | { readonly kind: 'data'; readonly data: Texts }
  | { readonly kind: 'refused'; readonly codes: readonly string[] };

/** @param privateSecrets The names of Secrets of the namespace that the service does not own. */
export function outcomeOf(
  mapping: ModelMapping,
  contents: Contents,
  privateSecrets: ReadonlySet<string>,
): Outcome {
  // The service reads no source of such a mapping, so no other code can occur.
  if (!mapping.isAllowed) return { kind: 'refused', codes: ['NOT_ALLOWED'] };
  const sources = Object.entries(mapping.sources);
  const codes = new Set<string>(privateSecrets.has(mapping.secret) ? ['NOT_OWNED'] : []);
  const data: Record<string, string> = {};
  for (const [dataKey, { key, property }] of sources) {
    const fields = contents.get(key);
    const value = fields?.[property];
    if (fields === undefined) codes.add('SOURCE_ABSENT');
    else if (value === undefined) codes.add('PROPERTY_MISSING');
    else data[dataKey] = Buffer.from(value).toString('base64');
  }
  return codes.size === 0 ? { kind: 'data', data } : { kind: 'refused', codes: [...codes] };
}

export function selects({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Texts): boolean {
  return (
    Object.entries(matchLabels).every(([name, value]) => labels[name] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'Exists') return value !== undefined;
      if (operator === 'DoesNotExist') return value === undefined;
      const isListed = value !== undefined && values.includes(value);
      return operator === 'In' ? isListed : !isListed;
    })
  );
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasOnly(value: object, names: readonly string[]): boolean {
  return Object.keys(value).every((name) => names.includes(name));
}
