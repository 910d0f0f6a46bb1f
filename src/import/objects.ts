import { isDeepStrictEqual } from 'node:util';
import { LineCounter, parseAllDocuments } from 'yaml';
import { isObject } from '../core/json.ts';
import { append } from '../core/lists.ts';
import { isNamespaceName, isSecretName } from '../core/target.ts';
import { isText, type Json } from './node.ts';

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

/** A workload, or a pod without a workload. */
export interface Workload {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** The spec of the pods. */
  readonly pods: Json;
}

export interface Objects {
  readonly toolObjects: readonly ToolObject[];
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
    if (kind === 'ServiceAccount' && apiVersion === 'v1')
      accounts.push({ namespace: own, name, annotations });
    const pods = podsOf(object);
    if (pods !== undefined) workloads.push({ kind, namespace: own, name, pods });
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
    const id = labelOf({ kind, namespace: place, name });
    const before = copies.get(id);
    copies.set(id, before === undefined ? [object] : [...before, object]);
    if (before !== undefined) continue;
    objectsById.set(id, {
      kind,
      namespace: place,
      name,
      labels: isObject(metadata.labels) ? metadata.labels : {},
      annotations,
      spec: specOf(object),
      status: isObject(object.status) ? object.status : {},
      owners: Array.isArray(metadata.ownerReferences) ? metadata.ownerReferences.filter(isObject) : [],
    });
  }
  for (const [id, sameId] of copies) append(unreadable, reportDuplicates(id, sameId, places));
  const byId = [...objectsById].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  return { toolObjects: byId, accounts, workloads, others: others.toSorted(byKindAndName), unreadable };
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

const WORKLOADS = /^(?:Deployment|StatefulSet|DaemonSet|ReplicaSet|Job|CronJob|Rollout|Pod)$/;

/** Returns the spec of the pods of a workload. A pod or ReplicaSet of a workload is left out. */
function podsOf({ kind, metadata, spec }: Json): Json | undefined {
  if (!isText(kind) || !WORKLOADS.test(kind) || !isObject(spec)) return undefined;
  if (isObject(metadata) && Array.isArray(metadata.ownerReferences) && metadata.ownerReferences.length > 0)
    return undefined;
  const jobTemplate = isObject(spec.jobTemplate) ? spec.jobTemplate : undefined;
  const template = jobTemplate === undefined ? spec.template : member(jobTemplate.spec, 'template');
  const pods = kind === 'Pod' ? spec : member(template, 'spec');
  return isObject(pods) ? pods : undefined;
}

function member(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
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
