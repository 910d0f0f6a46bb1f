import { isObject } from '../../core/json.ts';
import { createNode, type Json, type Node, type Notes } from '../node.ts';
import { type ConfigMap, labelOf, type ToolObject } from '../objects.ts';
import type { Names } from '../store.ts';
import type { ImportedStores } from './import-stores.ts';
import { mappingOf } from './mapping.ts';
import { whereOf } from './namespaces.ts';
import type { FindConfigMap } from './templates.ts';

export interface ImportContext {
  readonly notes: Notes;
  readonly names: Names;
  readonly stores: ImportedStores;
  readonly configMaps: readonly ConfigMap[];
  /** Gets the windows of all mappings. */
  readonly windows: Json[];
}

/** Converts an ExternalSecret to one mapping, or to none if no part of it can be converted. */
export function convertExternalSecret(
  object: ToolObject,
  { notes, names, stores, configMaps, windows }: ImportContext,
): readonly Json[] {
  const namespace = object.namespace ?? '';
  const mapping = mappingOf(object.spec, {
    name: names.take(`${namespace}.${object.name}`, labelOf(object)),
    notes,
    metadata: object,
    secret: object.name,
    where: { namespace },
    configMap: finderIn(configMaps, [namespace]),
    windows,
    storeOf: (ref, at) => stores.find(ref, at, { users: [namespace], notes }),
  });
  return mapping === undefined ? [] : [mapping];
}

/** Finds ConfigMaps in the only namespace of a mapping. */
function finderIn(configMaps: readonly ConfigMap[], [namespace, ...more]: readonly string[]): FindConfigMap {
  if (namespace === undefined || more.length > 0) return undefined;
  return (name) => configMaps.find((one) => one.namespace === namespace && one.name === name);
}

interface MappingTarget {
  readonly name: string;
  readonly where: Json;
  readonly users: readonly string[];
}

/**
 * Converts a ClusterExternalSecret to one mapping, or to one mapping for each namespace if the stores differ between
 * namespaces.
 */
export function convertClusterExternalSecret(
  object: ToolObject,
  { notes, names, stores, configMaps, windows }: ImportContext,
): readonly Json[] {
  const spec = createNode(object.spec, 'spec', notes);
  const inner = object.spec.externalSecretSpec;
  const metadata = spec.child('externalSecretMetadata');
  const secret = spec.text('externalSecretName') ?? object.name;
  // Ignore `refreshTime`, because it has no equivalent. It is the interval at which External Secrets looks for new
  // namespaces.
  spec.ignore('externalSecretSpec', 'refreshTime');
  const metadataParts = {
    labels: metadata?.templates('labels') ?? {},
    annotations: metadata?.templates('annotations') ?? {},
  };
  const targets = targetsOf(object, spec, notes);
  spec.finish();
  if (!isObject(inner)) {
    notes.lost('spec.externalSecretSpec', 'is missing', 'Fix the object, and import it again.');
    return [];
  }
  return targets.flatMap(({ name, where, users }) => {
    const mapping = mappingOf(inner, {
      name: names.take(name, `${labelOf(object)} ${name}`),
      notes,
      metadata: metadataParts,
      secret,
      where,
      configMap: finderIn(configMaps, users),
      windows,
      storeOf: (ref, at) => stores.find(ref, at, { users, notes }),
    });
    return mapping === undefined ? [] : [mapping];
  });
}

function targetsOf(
  { name, status, spec: raw }: ToolObject,
  spec: Node,
  notes: Notes,
): readonly MappingTarget[] {
  const where = whereOf(spec, status, notes);
  if (where === undefined) return [];
  if (where.kind === 'labels')
    return where.targets.map((target, index) => ({
      name: index === 0 ? name : `${name}.${index + 1}`,
      where: target,
      users: [],
    }));
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

/** Whether any reference names a SecretStore, which exists only in its namespace. */
function usesNamespaced(spec: Json): boolean {
  const entries = [spec.data, spec.dataFrom].flatMap((list) =>
    Array.isArray(list) ? list.filter(isObject) : [],
  );
  const refs = entries.map(({ sourceRef }) => (isObject(sourceRef) ? sourceRef.storeRef : undefined));
  return [spec.secretStoreRef, ...refs].some(
    (ref) => isObject(ref) && ref.name !== undefined && ref.kind !== 'ClusterSecretStore',
  );
}
