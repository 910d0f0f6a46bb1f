import { createDerivedStores } from '../derived-stores.ts';
import { createNotes } from '../node.ts';
import type { Objects } from '../objects.ts';
import { createNames } from '../store.ts';
import type { ConvertContext, Converted, Tool } from '../tool.ts';
import { convertClass } from './classes.ts';
import { mountsOf } from './mounts.ts';

/** https://secrets-store-csi-driver.sigs.k8s.io/ */
export const SECRETS_STORE_CSI: Tool = {
  name: 'secrets-store-csi',
  title: 'the Secrets Store CSI driver',
  api: {
    group: 'secrets-store.csi.x-k8s.io',
    versions: ['v1', 'v1alpha1'],
    kinds: [{ kind: 'SecretProviderClass', plural: 'secretproviderclasses', namespaced: true }],
    groups: /^secrets-store\.csi\.x-k8s\.io\//,
  },
  readsWorkloads: true,
  bounds: 'the namespaces of its store',
  notes: [
    'The driver deletes a Secret with the last pod that mounts the SecretProviderClass.',
    'docs/how-to/move-from-secrets-store-csi.md describes where the bytes can differ.',
  ],
  convert,
  steps: () => ({ stop: STOP, remove: [REPLACE, REMOVE] }),
};

function convert(objects: Objects, { collector, secrets, refused, defaults }: ConvertContext): Converted {
  const stores = createDerivedStores(refused.stores);
  const names = createNames();
  const mounts = mountsOf(objects.workloads);
  const { accounts } = objects;
  for (const object of objects.toolObjects) {
    const notes = createNotes();
    const own = mounts.filter(
      ({ namespace, className }) => namespace === object.namespace && className === object.name,
    );
    const context = { object, notes, stores, secrets, defaults, mounts: own, accounts };
    collector.add(object, notes, convertClass(context, names));
  }
  return stores.finish();
}

const STOP = {
  title: 'Stop the synchronization of Secrets',
  text: 'Remove `secretObjects` from each SecretProviderClass. The pods keep their files. Otherwise the driver would write the Secret again, and add its owner references.',
  commands: [
    `kubectl -n NAMESPACE patch secretproviderclass NAME --type=json -p '[{"op":"remove","path":"/spec/secretObjects"}]'`,
  ],
};

const REPLACE = {
  title: 'Replace the volumes',
  text: 'In each workload, replace the `csi` volume by `secret: { secretName: … }`. `items` gives the files their old names. This restarts the pods of the workload.',
  commands: [],
};

const REMOVE = {
  title: 'Remove the SecretProviderClasses',
  text: 'Delete each SecretProviderClass that no pod mounts. Also remove the label of the driver from the Secrets.',
  commands: [
    'kubectl -n NAMESPACE delete secretproviderclass NAME',
    'kubectl -n NAMESPACE label secret NAME secrets-store.csi.k8s.io/managed-',
  ],
};
