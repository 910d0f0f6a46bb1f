import { createDerivedStores } from '../derived-stores.ts';
import { createNotes } from '../node.ts';
import type { Objects } from '../objects.ts';
import { releaseSteps } from '../steps.ts';
import { createNames } from '../store.ts';
import type { ConvertContext, Converted, Tool } from '../tool.ts';
import { namedObjects } from './objects.ts';
import { convertStaticSecret } from './static-secrets.ts';
import { createOperatorStores } from './stores.ts';
import { readTransformation } from './transformation.ts';

/** Kinds that create values or read from other services. They are listed in the report. */
const LISTED: Readonly<Record<string, string>> = {
  CSISecrets: 'mounts files into pods without a Secret',
  HCPAuth: 'is a login to HCP Vault Secrets, which secretbridge does not read',
  HCPVaultSecretsApp: 'reads HCP Vault Secrets, which secretbridge does not read',
  VaultDynamicSecret:
    'creates credentials that Vault revokes later, but secretbridge only reads stored values',
  VaultPKISecret: 'creates certificates, but secretbridge only reads stored values',
};

/** https://developer.hashicorp.com/vault/docs/deploy/kubernetes/vso */
export const VAULT_SECRETS_OPERATOR: Tool = {
  name: 'vault-secrets-operator',
  title: 'the Vault Secrets Operator',
  api: {
    group: 'secrets.hashicorp.com',
    versions: ['v1beta1'],
    kinds: [
      { kind: 'CSISecrets', plural: 'csisecrets', namespaced: true },
      { kind: 'HCPAuth', plural: 'hcpauths', namespaced: true },
      { kind: 'HCPVaultSecretsApp', plural: 'hcpvaultsecretsapps', namespaced: true },
      { kind: 'SecretTransformation', plural: 'secrettransformations', namespaced: true },
      { kind: 'VaultAuth', plural: 'vaultauths', namespaced: true },
      { kind: 'VaultAuthGlobal', plural: 'vaultauthglobals', namespaced: true },
      { kind: 'VaultConnection', plural: 'vaultconnections', namespaced: true },
      { kind: 'VaultDynamicSecret', plural: 'vaultdynamicsecrets', namespaced: true },
      { kind: 'VaultPKISecret', plural: 'vaultpkisecrets', namespaced: true },
      { kind: 'VaultStaticSecret', plural: 'vaultstaticsecrets', namespaced: true },
    ],
    groups: /^secrets\.hashicorp\.com\//,
  },
  bounds: 'the `allowedNamespaces` of its VaultAuth',
  notes: [
    'The operator deletes a Secret with its VaultStaticSecret.',
    'docs/how-to/move-from-vault-secrets-operator.md describes where the bytes can differ.',
  ],
  convert,
  steps: (mappings) => ({
    stop: STOP,
    remove: [...releaseSteps(mappings, 'the operator', 'vault-secrets-operator'), REMOVE],
  }),
};

function convert(objects: Objects, { collector, secrets, refused }: ConvertContext): Converted {
  const { toolObjects } = objects;
  const derived = createDerivedStores(refused.stores);
  const stores = createOperatorStores(objects, derived, secrets);
  const transformations = namedObjects(toolObjects, 'SecretTransformation');
  const names = createNames();
  for (const { object, notes } of transformations.all) readTransformation(object, notes);
  for (const object of toolObjects) {
    const notes = createNotes();
    if (object.kind === 'VaultStaticSecret') {
      const mapping = convertStaticSecret(object, { notes, names, stores, transformations });
      collector.add(object, notes, mapping === undefined ? [] : [{ mapping }]);
      continue;
    }
    const what = LISTED[object.kind];
    if (what === undefined) continue;
    notes.lost('kind', what, 'Keep this object with the operator.');
    collector.report(object, notes.findings, []);
  }
  for (const { object, notes, users } of transformations.all)
    collector.report(object, notes.findings, [...users].toSorted());
  stores.report(collector);
  return derived.finish();
}

const STOP = {
  title: 'Stop the operator',
  text: 'A running operator would write its Secrets again, and would delete a Secret with its VaultStaticSecret. While it is stopped, Secrets stay unchanged.',
  commands: [
    'kubectl -n vault-secrets-operator-system scale deployment vault-secrets-operator-controller-manager --replicas=0',
  ],
};

const REMOVE = {
  title: 'Remove the objects of the operator',
  text: 'Remove the finalizer first, because the operator is stopped and cannot remove it. Also remove the labels of the operator from the Secrets. Otherwise the operator would take these Secrets for its own if it is installed again.',
  commands: [
    `kubectl -n NAMESPACE patch vaultstaticsecret NAME --type=merge -p '{"metadata":{"finalizers":null}}'`,
    'kubectl -n NAMESPACE delete vaultstaticsecret NAME',
    'kubectl -n NAMESPACE label secret NAME app.kubernetes.io/name- app.kubernetes.io/component- secrets.hashicorp.com/vso-ownerRefUID-',
  ],
};
