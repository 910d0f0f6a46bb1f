import { append } from '../../core/lists.ts';
import { createNotes, type Json, nameOf } from '../node.ts';
import type { Objects, ToolObject } from '../objects.ts';
import { releaseSteps } from '../steps.ts';
import { createNames } from '../store.ts';
import type { ConvertContext, Converted, Tool } from '../tool.ts';
import { convertClusterExternalSecret, convertExternalSecret } from './import-mappings.ts';
import { type ImportedStore, importStores } from './import-stores.ts';
import { ownerOf, ruleOf } from './namespaces.ts';

/** https://external-secrets.io/ */
export const EXTERNAL_SECRETS: Tool = {
  name: 'external-secrets',
  title: 'External Secrets',
  api: {
    group: 'external-secrets.io',
    versions: ['v1', 'v1beta1'],
    kinds: [
      { kind: 'ClusterExternalSecret', plural: 'clusterexternalsecrets', namespaced: false },
      { kind: 'ClusterSecretStore', plural: 'clustersecretstores', namespaced: false },
      { kind: 'ExternalSecret', plural: 'externalsecrets', namespaced: true },
      { kind: 'SecretStore', plural: 'secretstores', namespaced: true },
    ],
    // `kubernetes-client.io` is the API group of the predecessor project, which also has a kind ExternalSecret.
    groups: /^(?:(?:[a-z]+\.)?external-secrets\.io|kubernetes-client\.io)\//,
  },
  bounds: 'the `conditions` of its store',
  notes: [
    'External Secrets deletes a Secret with its ExternalSecret.',
    'docs/how-to/move-from-external-secrets.md describes where the bytes can differ.',
  ],
  convert,
  steps: (mappings) => ({
    stop: STOP,
    remove: [...releaseSteps(mappings, 'External Secrets', 'externalsecrets.external-secrets.io'), REMOVE],
  }),
};

function convert(objects: Objects, { collector, secrets, refused }: ConvertContext): Converted {
  const stores = importStores(objects, secrets, refused.stores);
  const names = createNames();
  const windows: Json[] = [];
  for (const object of objects.toolObjects) {
    if (object.kind !== 'ExternalSecret' && object.kind !== 'ClusterExternalSecret') continue;
    if (hasOwner(object, objects.toolObjects)) {
      collector.skip(object);
      continue;
    }
    const notes = createNotes();
    const convertOne =
      object.kind === 'ExternalSecret' ? convertExternalSecret : convertClusterExternalSecret;
    const { configMaps } = objects;
    const mappings = convertOne(object, { notes, names, stores, configMaps, windows });
    collector.add(
      object,
      notes,
      mappings.map((mapping) => ({ mapping })),
    );
  }
  const finished = stores.finish();
  const all: Json[] = [];
  for (const { object, notes, storeConfigs } of finished) {
    collector.report(object, notes.findings, storeConfigs.map(nameOf));
    append(all, storeConfigs);
  }
  return { stores: all, access: accessRules(finished), windows };
}

/** Whether the object was created by a ClusterExternalSecret that is also part of the input. */
function hasOwner(object: ToolObject, all: readonly ToolObject[]): boolean {
  const ownerName = ownerOf(object);
  return (
    ownerName !== undefined &&
    all.some(({ kind, name }) => kind === 'ClusterExternalSecret' && name === ownerName)
  );
}

/**
 * Returns the `access` rules. Without any rule, every access is allowed. As soon as one store has a rule, every other
 * store needs a rule too.
 */
function accessRules(stores: readonly ImportedStore[]): readonly Json[] | undefined {
  if (stores.every(({ bounds }) => bounds.namespaces === undefined)) return undefined;
  return stores
    .filter(({ storeConfigs, bounds }) => storeConfigs.length > 0 && bounds.namespaces?.length !== 0)
    .map(({ storeConfigs, bounds }) => ruleOf(storeConfigs.map(nameOf).toSorted(), bounds))
    .toSorted((a, b) => (String(a.stores) < String(b.stores) ? -1 : 1));
}

const STOP = {
  title: 'Stop External Secrets',
  text: 'A running External Secrets would take its Secrets back. While it is stopped, Secrets stay unchanged. To move only some objects, set `refreshPolicy: CreatedOnce`, `creationPolicy: Orphan` and `deletionPolicy: Retain` on them. Then wait until their Secrets have no owner reference.',
  commands: ['kubectl -n external-secrets scale deployment external-secrets --replicas=0'],
};

const REMOVE = {
  title: 'Remove the External Secrets objects',
  text: 'Remove the finalizer first, because External Secrets is stopped and cannot remove it. Also remove the labels of External Secrets from the Secrets. Otherwise it would treat them as orphans if it is installed again. Remove ClusterExternalSecrets before the objects that they created.',
  commands: [
    `kubectl -n NAMESPACE patch externalsecret NAME --type=merge -p '{"metadata":{"finalizers":null}}'`,
    'kubectl -n NAMESPACE delete externalsecret NAME',
    'kubectl -n NAMESPACE label secret NAME reconcile.external-secrets.io/created-by- reconcile.external-secrets.io/managed-',
  ],
};
