import { createDerivedStores } from '../derived-stores.ts';
import { createNotes } from '../node.ts';
import type { Objects } from '../objects.ts';
import { createNames } from '../store.ts';
import type { ConvertContext, Converted, Tool } from '../tool.ts';
import { controllerSettings } from './controller.ts';
import { convertExternalSecret } from './mapping.ts';

/** https://github.com/external-secrets/kubernetes-external-secrets */
export const KUBERNETES_EXTERNAL_SECRETS: Tool = {
  name: 'kubernetes-external-secrets',
  title: 'kubernetes-external-secrets',
  api: {
    group: 'kubernetes-client.io',
    versions: ['v1'],
    kinds: [{ kind: 'ExternalSecret', plural: 'externalsecrets', namespaced: true }],
    groups: /^kubernetes-client\.io\//,
  },
  readsWorkloads: true,
  bounds: 'the namespaces of its store',
  notes: [
    'Kubernetes deletes a Secret of kubernetes-external-secrets with its ExternalSecret.',
    'docs/how-to/move-from-kubernetes-external-secrets.md describes where the bytes can differ.',
  ],
  convert,
  steps: () => ({ stop: STOP, remove: [REMOVE] }),
};

function convert(objects: Objects, { collector, secrets, refused, defaults }: ConvertContext): Converted {
  const stores = createDerivedStores(refused.stores);
  const names = createNames();
  const controller = controllerSettings(objects.workloads);
  for (const object of objects.toolObjects) {
    const notes = createNotes();
    const mapping = convertExternalSecret(object, { notes, stores, secrets, defaults, controller, names });
    collector.add(object, notes, mapping === undefined ? [] : [{ mapping }]);
  }
  return stores.finish();
}

const STOP = {
  title: 'Stop kubernetes-external-secrets',
  text: 'A running controller would write its Secrets again, with its owner reference. While it is stopped, Secrets stay unchanged.',
  commands: [
    'kubectl -n kubernetes-external-secrets scale deployment kubernetes-external-secrets --replicas=0',
  ],
};

const REMOVE = {
  title: 'Remove the ExternalSecrets',
  text: 'Name the API group, because External Secrets has a kind with the same name.',
  commands: ['kubectl -n NAMESPACE delete externalsecrets.kubernetes-client.io NAME'],
};
