import { isObject } from '../core/json.ts';
import type { ImportedStores } from './import-stores.ts';
import { mappingOf } from './mapping.ts';
import type { Names } from './names.ts';
import { whereOf } from './namespaces.ts';
import { createNode, type Json, type Node } from './node.ts';
import type { Notes } from './notes.ts';
import { type Found, labelOf } from './objects.ts';

export interface ImportContext {
  readonly notes: Notes;
  readonly names: Names;
  readonly stores: ImportedStores;
}

/** An ExternalSecret: one mapping, or none if nothing of it is left. */
export function ofExternalSecret(it: Found, { notes, names, stores }: ImportContext): readonly Json[] {
  const namespace = it.namespace ?? '';
  const mapping = mappingOf(it.spec, {
    name: names.take(`${namespace}.${it.name}`, labelOf(it)),
    notes,
    found: it,
    secret: it.name,
    where: { namespace },
    storeOf: (ref, at) => stores.find(ref, at, { users: [namespace], notes }),
  });
  return mapping === undefined ? [] : [mapping];
}

interface Place {
  readonly name: string;
  readonly where: Json;
  readonly users: readonly string[];
}

/** A ClusterExternalSecret: one mapping, or one for each namespace where a store is another one in each. */
export function ofClusterExternalSecret(it: Found, { notes, names, stores }: ImportContext): readonly Json[] {
  const spec = createNode(it.spec, 'spec', notes);
  const inner = it.spec.externalSecretSpec;
  const metadata = spec.child('externalSecretMetadata');
  const secret = spec.text('externalSecretName') ?? it.name;
  // How often they look for namespaces.
  spec.ignore('externalSecretSpec', 'refreshTime');
  const found = {
    labels: metadata?.templates('labels') ?? {},
    annotations: metadata?.templates('annotations') ?? {},
  };
  const places = placesOf(it, spec, notes);
  spec.finish();
  if (!isObject(inner)) {
    notes.lost('spec.externalSecretSpec', 'is missing', 'Correct the object, and import it again.');
    return [];
  }
  return places.flatMap(({ name, where, users }) => {
    const mapping = mappingOf(inner, {
      name: names.take(name, `${labelOf(it)} ${name}`),
      notes,
      found,
      secret,
      where,
      storeOf: (ref, at) => stores.find(ref, at, { users, notes }),
    });
    return mapping === undefined ? [] : [mapping];
  });
}

function placesOf({ name, status, spec: raw }: Found, spec: Node, notes: Notes): readonly Place[] {
  const where = whereOf(spec, status, notes);
  if (where === undefined) return [];
  if (where.kind === 'labels')
    return [{ name, where: { namespaceSelector: { matchLabels: where.matchLabels } }, users: [] }];
  const { names } = where;
  if (isObject(raw.externalSecretSpec) && usesNamespaced(raw.externalSecretSpec))
    return names.map((namespace) => ({
      name: `${namespace}.${name}`,
      where: { namespace },
      users: [namespace],
    }));
  const [first, ...more] = names;
  return [{ name, where: more.length === 0 ? { namespace: first } : { namespaces: names }, users: names }];
}

/** Whether a store of a namespace is meant anywhere. */
function usesNamespaced(spec: Json): boolean {
  const entries = [spec.data, spec.dataFrom].flatMap((list) =>
    Array.isArray(list) ? list.filter(isObject) : [],
  );
  const refs = entries.map(({ sourceRef }) => (isObject(sourceRef) ? sourceRef.storeRef : undefined));
  return [spec.secretStoreRef, ...refs].some(
    (ref) => isObject(ref) && ref.name !== undefined && ref.kind !== 'ClusterSecretStore',
  );
}
