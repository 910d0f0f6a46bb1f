import { isDeepStrictEqual } from 'node:util';
import { LineCounter, parseAllDocuments } from 'yaml';
import { isObject } from '../core/json.ts';
import { isNamespaceName, isSecretName } from '../core/kubernetes-names.ts';
import { isText, type Json } from './node.ts';

/** A text with objects in it: YAML of one or several documents, or JSON. */
export interface Text {
  /** As the person named it. */
  readonly name: string;
  readonly text: string;
}

const KINDS = ['ClusterExternalSecret', 'ClusterSecretStore', 'ExternalSecret', 'SecretStore'] as const;
export type Kind = (typeof KINDS)[number];

/** An object of theirs, as it was found. */
export interface Found {
  readonly kind: Kind;
  /** None for a kind of the whole cluster. */
  readonly namespace: string | undefined;
  readonly name: string;
  readonly labels: Json;
  readonly annotations: Json;
  readonly spec: Json;
  readonly status: Json;
  readonly owners: readonly Json[];
}

/** The annotations of a service account: they name the identity in a cloud that it stands for. */
export interface Account {
  readonly namespace: string;
  readonly name: string;
  readonly annotations: Json;
}

export interface Objects {
  readonly found: readonly Found[];
  readonly accounts: readonly Account[];
  /** Other objects of their API, which we have nothing for. */
  readonly others: readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[];
  /** Texts or parts of them that are no objects; each a sentence. */
  readonly unreadable: readonly string[];
}

/** Longer than the longest name of an object with its namespace. */
const MAX_QUOTED = 400;

/** The second is that of kubernetes-external-secrets, the project before theirs, which has an ExternalSecret too. */
const GROUP = /^(?:(?:[a-z]+\.)?external-secrets\.io|kubernetes-client\.io)\//;
const VERSIONS = ['external-secrets.io/v1', 'external-secrets.io/v1beta1'];

/** @param namespace Of objects that name none, as `kubectl apply --namespace` would have it. */
export function readObjects(texts: readonly Text[], namespace: string): Objects {
  const unreadable: string[] = [];
  const places = new Map<Json, string>();
  const raw = texts.flatMap((text) => documentsOf(text, unreadable, places));
  return sortObjects(raw, { namespace, unreadable, places });
}

/** The same for objects that are parsed already. */
export function sortObjects(
  raw: readonly Json[],
  { namespace, unreadable = [], places = new Map() }: SortOptions,
): Objects {
  const found = new Map<string, Found>();
  const copies = new Map<string, readonly [Json, ...Json[]]>();
  const accounts: Account[] = [];
  const others: Objects['others'][number][] = [];
  for (const object of raw) {
    const { apiVersion, kind, metadata } = object;
    if (!isText(apiVersion) || !isText(kind)) continue;
    if (!isObject(metadata) || !isText(metadata.name)) {
      // Of a chart, `name: {{ … }}` is an object to YAML.
      if (GROUP.test(apiVersion)) unreadable.push(`${quoted(kind)}: one without a name as text. ${RENDER}`);
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
      unreadable.push(`${quoted(labelOf({ kind, namespace: place, name }))}: no API server takes that name`);
      continue;
    }
    const known = KINDS.find((it) => it === kind);
    if (known === undefined || !VERSIONS.includes(apiVersion)) {
      others.push({
        kind: `${kind} (${apiVersion})`,
        name,
        ...(isText(metadata.namespace) ? { namespace: own } : {}),
      });
      continue;
    }
    const id = labelOf({ kind: known, namespace: place, name });
    const before = copies.get(id);
    copies.set(id, before === undefined ? [object] : [...before, object]);
    if (before !== undefined) continue;
    found.set(id, {
      kind: known,
      namespace: place,
      name,
      labels: isObject(metadata.labels) ? metadata.labels : {},
      annotations,
      spec: isObject(object.spec) ? object.spec : {},
      status: isObject(object.status) ? object.status : {},
      owners: Array.isArray(metadata.ownerReferences) ? metadata.ownerReferences.filter(isObject) : [],
    });
  }
  for (const [id, given] of copies) unreadable.push(...severalOf(id, given, places));
  const byId = [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  return { found: byId, accounts, others: others.toSorted(byKindAndName), unreadable };
}

interface SortOptions {
  readonly namespace: string;
  readonly unreadable?: string[];
  /** Where each object stands. */
  readonly places?: ReadonlyMap<Json, string>;
}

/** Of one that is named in several files, as overlays do, the others may say something else. */
function severalOf(
  id: string,
  given: readonly [Json, ...Json[]],
  places: ReadonlyMap<Json, string>,
): readonly string[] {
  const [first, ...others] = given;
  const said = saidBy(first);
  const differing = others.filter((one) => !isDeepStrictEqual(saidBy(one), said));
  if (differing.length === 0) return [];
  const at = (one: Json) => places.get(one) ?? 'somewhere';
  const shown = differing.slice(0, MOST_PLACES).map(at);
  const more = differing.length - shown.length;
  return [
    `${id} is given several times: what stands in ${at(first)} counts, the first one; ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''} ${differing.length === 1 ? 'says' : 'say'} something else`,
  ];
}

const MOST_PLACES = 3;

function saidBy({ spec, metadata }: Json): readonly unknown[] {
  const { labels, annotations } = isObject(metadata) ? metadata : {};
  return [spec, labels, annotations];
}

const RENDER = 'A template of a chart is rendered first, as by `helm template`';

/** What Helm alone fills in: their templates have other names. */
const CHART = /\{\{[^{}]*(?:\.(?:Values|Release|Chart|Capabilities|Files)\b|\binclude\s)/;

/** It may be anything. */
function quoted(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text);
}

function byKindAndName(a: Objects['others'][number], b: Objects['others'][number]): number {
  const text = ({ kind, namespace = '', name }: typeof a) => `${kind} ${namespace}/${name}`;
  return text(a) < text(b) ? -1 : 1;
}

/** With merge keys (`<<`), as kubectl reads them. */
const OPTIONS = { prettyErrors: true, logLevel: 'silent', uniqueKeys: true, merge: true } as const;

/** The parser's messages quote the text, and somebody may have put a Secret into it: only places are told. */
function documentsOf({ name, text }: Text, unreadable: string[], places: Map<Json, string>): readonly Json[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { ...OPTIONS, lineCounter: lines });
  if (!Array.isArray(documents)) return [];
  return documents.flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      const line = error.linePos?.[0].line;
      const hint = CHART.test(text) ? `. ${RENDER}` : '';
      unreadable.push(`${name}${line === undefined ? '' : `:${line}`} is neither YAML nor JSON${hint}`);
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

/** Found only when values are made: https://eemeli.org/yaml/#document-options */
function wrongWithAliases({ name, message }: Error): string | undefined {
  if (message.startsWith('Merge sources')) return 'merges (`<<`) what is no object';
  if (name !== 'ReferenceError') return undefined;
  return message.startsWith('Excessive')
    ? 'has more aliases than any such object needs'
    : 'has an alias of what stands nowhere before it';
}

/** `kubectl get -o yaml` gives a List of several. */
function flatten(value: unknown): readonly Json[] {
  if (!isObject(value)) return [];
  if (isText(value.kind) && value.kind.endsWith('List') && Array.isArray(value.items))
    return value.items.flatMap(flatten);
  return [value];
}

/** As people name it: `ExternalSecret payments/db`. */
export function labelOf({
  kind,
  namespace,
  name,
}: Pick<Found, 'namespace' | 'name'> & { readonly kind: string }): string {
  return `${kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`;
}
