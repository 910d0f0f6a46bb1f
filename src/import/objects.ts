import { isDeepStrictEqual } from 'node:util';
import { LineCounter, parseAllDocuments } from 'yaml';
import { isObject } from '../core/json.ts';
import { append } from '../core/lists.ts';
import { isNamespaceName, isSecretName } from '../core/target.ts';
import { isText, type Json } from './node.ts';
import { podsOf, type Workload } from './workloads.ts';

/** An input text with objects: YAML with one or several documents, or JSON. */
export interface InputText {
  /** The path as written by the user. */
  readonly name: string;
  readonly text: string;
}

/** A kind of object that a tool reads. */
export interface ToolKind {
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

/** The objects of a tool. */
export interface ToolApi {
  /** The API group, for lists from the cluster. */
  readonly group: string;
  /** The versions that are read, in order of preference. */
  readonly versions: readonly string[];
  readonly kinds: readonly ToolKind[];
  /** Matches the API groups of the tool. Objects of other kinds in these groups are listed in the report. */
  readonly groups: RegExp;
}

/** An object of another tool from the input. */
export interface ToolObject {
  readonly kind: string;
  /** `undefined` for a cluster-scoped kind. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly labels: Json;
  readonly annotations: Json;
  readonly spec: Json;
  readonly status: Json;
  readonly owners: readonly Json[];
}

/** A service account. Its annotations name its cloud identity. */
export interface Account {
  readonly namespace: string;
  readonly name: string;
  readonly annotations: Json;
}

/** A ConfigMap, whose values may be templates. */
export interface ConfigMap {
  readonly namespace: string;
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
}

export interface Objects {
  readonly toolObjects: readonly ToolObject[];
  readonly configMaps: readonly ConfigMap[];
  readonly accounts: readonly Account[];
  readonly workloads: readonly Workload[];
  /** Other objects of the same API group, which have no equivalent. */
  readonly others: readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[];
  /** Texts that could not be read, one sentence each. */
  readonly unreadable: readonly string[];
}

/** The maximum length of quoted text. It is longer than any valid object name with its namespace. */
const MAX_QUOTED = 400;

/** @param namespace The namespace for objects that name none, as in `kubectl apply --namespace`. */
export function readObjects(texts: readonly InputText[], namespace: string, api: ToolApi): Objects {
  const unreadable: string[] = [];
  const places = new Map<Json, string>();
  const raw = texts.flatMap((text) => documentsOf(text, unreadable, places));
  return sortObjects(raw, { namespace, api, unreadable, places });
}

/** Groups parsed objects by kind. */
export function sortObjects(
  raw: readonly Json[],
  { namespace, api, unreadable = [], places = new Map() }: SortOptions,
): Objects {
  const { groups } = api;
  const objectsById = new Map<string, ToolObject>();
  const copies = new Map<string, readonly [Json, ...Json[]]>();
  const accounts: Account[] = [];
  const workloads: Workload[] = [];
  const configMaps: ConfigMap[] = [];
  const others: Objects['others'][number][] = [];
  for (const object of raw) {
    const { apiVersion, kind, metadata } = object;
    if (!isText(apiVersion) || !isText(kind)) continue;
    if (!isObject(metadata) || !isText(metadata.name)) {
      // In an unrendered chart, YAML parses `name: {{ … }}` as an object.
      if (groups.test(apiVersion)) unreadable.push(`${quoted(kind)}: an object without a name. ${RENDER}`);
      continue;
    }
    const { name } = metadata;
    const own = isText(metadata.namespace) && metadata.namespace !== '' ? metadata.namespace : namespace;
    const annotations = isObject(metadata.annotations) ? metadata.annotations : {};
    const id = { namespace: own, name };
    const what = `${apiVersion} ${kind}`;
    if (what === 'v1 ServiceAccount') accounts.push({ ...id, annotations });
    if (what === 'v1 ConfigMap') configMaps.push({ ...id, data: textsIn(object.data) });
    const pods = podsOf(object);
    if (pods !== undefined) workloads.push({ kind, ...id, pods });
    if (!groups.test(apiVersion)) continue;
    const known = kindOf(object, api);
    const isClusterScoped = known === undefined ? kind.startsWith('Cluster') : !known.namespaced;
    const place = isClusterScoped ? undefined : own;
    if (!isSecretName(name) || (place !== undefined && !isNamespaceName(place))) {
      unreadable.push(`${quoted(labelOf({ kind, namespace: place, name }))}: not a valid object name`);
      continue;
    }
    if (known === undefined) {
      others.push({
        kind: `${kind} (${apiVersion})`,
        name,
        ...(isText(metadata.namespace) ? { namespace: own } : {}),
      });
      continue;
    }
    const label = labelOf({ kind, namespace: place, name });
    const before = copies.get(label);
    copies.set(label, before === undefined ? [object] : [...before, object]);
    if (before !== undefined) continue;
    objectsById.set(label, { kind, namespace: place, name, annotations, ...partsOf(object, metadata) });
  }
  for (const [id, sameId] of copies) append(unreadable, reportDuplicates(id, sameId, places));
  const byId = [...objectsById].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  const sorted = others.toSorted(byKindAndName);
  return { toolObjects: byId, accounts, workloads, configMaps, others: sorted, unreadable };
}

function textsIn(data: unknown): Readonly<Record<string, string>> {
  if (!isObject(data)) return {};
  return Object.fromEntries(
    Object.entries(data).filter((entry): entry is [string, string] => isText(entry[1])),
  );
}

function partsOf(
  object: Json,
  { labels, ownerReferences }: Json,
): Pick<ToolObject, 'labels' | 'spec' | 'status' | 'owners'> {
  return {
    labels: isObject(labels) ? labels : {},
    spec: specOf(object),
    status: isObject(object.status) ? object.status : {},
    owners: Array.isArray(ownerReferences) ? ownerReferences.filter(isObject) : [],
  };
}

/** `secretDescriptor` is the old name of `spec` in kubernetes-external-secrets. */
function specOf({ spec, secretDescriptor }: Json): Json {
  if (isObject(spec)) return spec;
  return isObject(secretDescriptor) ? secretDescriptor : {};
}

/** Returns the kind of an object, if the tool reads objects of this kind and version. */
function kindOf({ apiVersion, kind }: Json, { group, versions, kinds }: ToolApi): ToolKind | undefined {
  if (!versions.some((version) => apiVersion === `${group}/${version}`)) return undefined;
  return kinds.find((known) => known.kind === kind);
}

interface SortOptions {
  readonly namespace: string;
  readonly api: ToolApi;
  readonly unreadable?: string[];
  /** The file and line of each object, for messages. */
  readonly places?: ReadonlyMap<Json, string>;
}

/** Reports an object that occurs several times with different content, for example in overlays. */
function reportDuplicates(
  id: string,
  copies: readonly [Json, ...Json[]],
  places: ReadonlyMap<Json, string>,
): readonly string[] {
  const [first, ...others] = copies;
  const firstFields = relevantFields(first);
  const differing = others.filter((copy) => !isDeepStrictEqual(relevantFields(copy), firstFields));
  if (differing.length === 0) return [];
  const placeOf = (copy: Json) => places.get(copy) ?? 'somewhere';
  const shown = differing.slice(0, MAX_PLACES).map(placeOf);
  const more = differing.length - shown.length;
  return [
    `${id} occurs several times: the first one, in ${placeOf(first)}, counts; ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''} ${differing.length === 1 ? 'differs' : 'differ'}`,
  ];
}

const MAX_PLACES = 3;

function relevantFields({ spec, metadata }: Json): readonly unknown[] {
  const { labels, annotations } = isObject(metadata) ? metadata : {};
  return [spec, labels, annotations];
}

const RENDER = 'Render a chart template first, for example with `helm template`';

/** Detects an unrendered Helm chart. Only Helm uses these names; templates of External Secrets use other names. */
const CHART = /\{\{[^{}]*(?:\.(?:Values|Release|Chart|Capabilities|Files)\b|\binclude\s)/;

/** Shortens and quotes a text for a message, because the text may contain anything. */
function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}

function byKindAndName(a: Objects['others'][number], b: Objects['others'][number]): number {
  const text = ({ kind, namespace = '', name }: typeof a) => `${kind} ${namespace}/${name}`;
  return text(a) < text(b) ? -1 : 1;
}

/** Parser options. `merge` accepts merge keys (`<<`), as kubectl does. */
const OPTIONS = { prettyErrors: true, logLevel: 'silent', uniqueKeys: true, merge: true } as const;

/** Report only the places. The parser's messages quote the text, which may contain a Secret. */
function documentsOf(
  { name, text }: InputText,
  unreadable: string[],
  places: Map<Json, string>,
): readonly Json[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { ...OPTIONS, lineCounter: lines });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      const line = error.linePos?.[0].line;
      const hint = CHART.test(text) ? `. ${RENDER}` : '';
      unreadable.push(`${name}${line === undefined ? '' : `:${line}`} is not valid YAML or JSON${hint}`);
      return [];
    }
    const objects = flatten(toValue(document, name, unreadable));
    const { line } = lines.linePos(document.contents?.range[0] ?? 0);
    for (const object of objects) places.set(object, `${name}:${line}`);
    return objects;
  });
}

function toValue(
  document: { toJS(options: { maxAliasCount: number }): unknown },
  name: string,
  unreadable: string[],
): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const what = error instanceof Error ? wrongWithAliases(error) : undefined;
    if (what === undefined) throw error;
    unreadable.push(`${name} ${what}`);
    return undefined;
  }
}

/** The parser reports alias errors only when it creates values: https://eemeli.org/yaml/#document-options */
function wrongWithAliases({ name, message }: Error): string | undefined {
  if (message.startsWith('Merge sources')) return 'merges (`<<`) a value that is not an object';
  if (name !== 'ReferenceError') return undefined;
  return message.startsWith('Excessive') ? 'has too many aliases' : 'has an alias without an earlier anchor';
}

/** `kubectl get -o yaml` returns several objects as a List. */
function flatten(value: unknown): readonly Json[] {
  if (!isObject(value)) return [];
  if (isText(value.kind) && value.kind.endsWith('List') && Array.isArray(value.items))
    return value.items.flatMap(flatten);
  return [value];
}

/** Formats an object for messages, such as `ExternalSecret payments/db`. */
export function labelOf({
  kind,
  namespace,
  name,
}: Pick<ToolObject, 'namespace' | 'name'> & { readonly kind: string }): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
