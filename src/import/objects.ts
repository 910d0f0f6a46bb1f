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

const KINDS = ['ClusterExternalSecret', 'ClusterSecretStore', 'ExternalSecret', 'SecretStore'] as const;
export type Kind = (typeof KINDS)[number];

/** An object of External Secrets from the input. */
export interface ExternalObject {
  readonly kind: Kind;
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

export interface Objects {
  readonly externalObjects: readonly ExternalObject[];
  readonly accounts: readonly Account[];
  /** Other objects of the same API group, which have no equivalent. */
  readonly others: readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[];
  /** Texts that could not be read, one sentence each. */
  readonly unreadable: readonly string[];
}

/** The maximum length of quoted text. It is longer than any valid object name with its namespace. */
const MAX_QUOTED = 400;

/**
 * `kubernetes-client.io` is the API group of kubernetes-external-secrets, the predecessor project. It also has a kind
 * ExternalSecret.
 */
const GROUP = /^(?:(?:[a-z]+\.)?external-secrets\.io|kubernetes-client\.io)\//;
const VERSIONS = ['external-secrets.io/v1', 'external-secrets.io/v1beta1'];

/** @param namespace The namespace for objects that name none, as in `kubectl apply --namespace`. */
export function readObjects(texts: readonly InputText[], namespace: string): Objects {
  const unreadable: string[] = [];
  const places = new Map<Json, string>();
  const raw = texts.flatMap((text) => documentsOf(text, unreadable, places));
  return sortObjects(raw, { namespace, unreadable, places });
}

/** Groups parsed objects by kind. */
export function sortObjects(
  raw: readonly Json[],
  { namespace, unreadable = [], places = new Map() }: SortOptions,
): Objects {
  const objectsById = new Map<string, ExternalObject>();
  const copies = new Map<string, readonly [Json, ...Json[]]>();
  const accounts: Account[] = [];
  const others: Objects['others'][number][] = [];
  for (const object of raw) {
    const { apiVersion, kind, metadata } = object;
    if (!isText(apiVersion) || !isText(kind)) continue;
    if (!isObject(metadata) || !isText(metadata.name)) {
      // In an unrendered chart, YAML parses `name: {{ … }}` as an object.
      if (GROUP.test(apiVersion)) unreadable.push(`${quoted(kind)}: an object without a name. ${RENDER}`);
      continue;
    }
    const { name } = metadata;
    const own = isText(metadata.namespace) && metadata.namespace !== '' ? metadata.namespace : namespace;
    const annotations = isObject(metadata.annotations) ? metadata.annotations : {};
    if (kind === 'ServiceAccount' && apiVersion === 'v1')
      accounts.push({ namespace: own, name, annotations });
    if (!GROUP.test(apiVersion)) continue;
    const place = kind.startsWith('Cluster') ? undefined : own;
    if (!isSecretName(name) || (place !== undefined && !isNamespaceName(place))) {
      unreadable.push(`${quoted(labelOf({ kind, namespace: place, name }))}: not a valid object name`);
      continue;
    }
    const kindName = KINDS.find((knownKind) => knownKind === kind);
    if (kindName === undefined || !VERSIONS.includes(apiVersion)) {
      others.push({
        kind: `${kind} (${apiVersion})`,
        name,
        ...(isText(metadata.namespace) ? { namespace: own } : {}),
      });
      continue;
    }
    const id = labelOf({ kind: kindName, namespace: place, name });
    const before = copies.get(id);
    copies.set(id, before === undefined ? [object] : [...before, object]);
    if (before !== undefined) continue;
    objectsById.set(id, {
      kind: kindName,
      namespace: place,
      name,
      labels: isObject(metadata.labels) ? metadata.labels : {},
      annotations,
      spec: isObject(object.spec) ? object.spec : {},
      status: isObject(object.status) ? object.status : {},
      owners: Array.isArray(metadata.ownerReferences) ? metadata.ownerReferences.filter(isObject) : [],
    });
  }
  for (const [id, sameId] of copies) append(unreadable, reportDuplicates(id, sameId, places));
  const byId = [...objectsById].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  return { externalObjects: byId, accounts, others: others.toSorted(byKindAndName), unreadable };
}

interface SortOptions {
  readonly namespace: string;
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
}: Pick<ExternalObject, 'namespace' | 'name'> & { readonly kind: string }): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
