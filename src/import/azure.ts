import type { Json, Node } from './node.ts';
import { accountOf, type Store, type StoreContext } from './store.ts';

/** https://external-secrets.io/latest/provider/azure-key-vault/ */
export function azureStore(azure: Node, context: StoreContext): Store | undefined {
  const { notes, name } = context;
  const vaultUrl = azure.text('vaultUrl')?.replace(/\/+$/, '');
  const auth = authOf(azure, context);
  azure.ignore('useAzureSDK');
  const cloud = azure.text('environmentType') ?? 'PublicCloud';
  if (!['PublicCloud', 'USGovernmentCloud', 'ChinaCloud'].includes(cloud))
    notes.lost(
      `${azure.path}.environmentType`,
      `${cloud} is a cloud that secretbridge does not know: it knows the public one, US Government and China, by the address of the vault`,
      'Leave what uses it with the present controller.',
    );
  if (azure.has('customCloudConfig'))
    notes.lost(
      `${azure.path}.customCloudConfig`,
      'other addresses for logging in cannot be given',
      'Leave what uses it with the present controller.',
    );
  azure.ignore('customCloudConfig');
  if (vaultUrl === undefined) {
    notes.lost(`${azure.path}.vaultUrl`, 'is missing', 'Correct the object, and import it again.');
    return undefined;
  }
  return {
    kind: 'azure-key-vault',
    name,
    place(key, about, at) {
      const [type = '', named = ''] = key.includes('/') ? key.split('/') : ['secret', key];
      if (type === 'secret') return { store: name, key: named };
      if (type === 'cert') {
        about.changed(
          at,
          'a certificate is the chain as PEM; theirs is the certificate alone in its binary form (DER)',
          'Change what reads it, or leave it with the present controller.',
        );
        return { store: name, key: named, object: 'certificate' };
      }
      if (type === 'key') {
        about.changed(
          at,
          'a key is its public JWK as the store has it; its members may stand in another order',
        );
        return { store: name, key: named, object: 'key' };
      }
      about.lost(
        at,
        `\`${type}\` is no type of object: secret, cert or key`,
        'Correct the object, and import it again.',
      );
      return undefined;
    },
    searched: name,
    ours: () => [{ name, kind: 'azure-key-vault', vaultUrl, auth }],
  };
}

function authOf(azure: Node, context: StoreContext): Json {
  const { found, notes, secrets, account } = context;
  const tenantId = azure.text('tenantId');
  const identityId = azure.text('identityId');
  const keys = azure.child('authSecretRef');
  const ref = azure.child('serviceAccountRef');
  const of = { namespace: found.namespace, notes };
  switch (azure.text('authType') ?? 'ServicePrincipal') {
    case 'ManagedIdentity':
      notes.changed(
        `${azure.path}.authType`,
        "the managed identity is that of the bridge's pod or node",
        'Assign the same identity to where the bridge runs.',
      );
      return { method: 'managedIdentity', ...(identityId === undefined ? {} : { clientId: identityId }) };
    case 'WorkloadIdentity': {
      const known = account(ref)?.annotations ?? {};
      const who = accountOf(ref, found.namespace);
      ref?.ignore('audiences');
      const clientId =
        known['azure.workload.identity/client-id'] ?? secrets.refer(keys?.child('clientId'), undefined, of);
      const tenant =
        tenantId ??
        known['azure.workload.identity/tenant-id'] ??
        secrets.refer(keys?.child('tenantId'), undefined, of);
      // What is said twice there.
      for (const field of ['clientId', 'tenantId']) keys?.ignore(field);
      const federate = "Add a federated credential for the bridge's service account to the application";
      notes.changed(
        ref?.path ?? `${azure.path}.authType`,
        `the bridge logs in as its own service account${who === undefined ? '' : `, not as \`${who.namespace}/${who.name}\``}`,
        typeof clientId === 'string'
          ? `${federate} ${clientId}.`
          : clientId === undefined
            ? `${federate}, and name it by \`clientId\` or by the annotation of that account.`
            : `${federate}.`,
      );
      return {
        method: 'workloadIdentity',
        ...(tenant === undefined ? {} : { tenantId: tenant }),
        ...(clientId === undefined ? {} : { clientId }),
      };
    }
    default: {
      const secret = keys?.child('clientSecret');
      const certificate = keys?.child('clientCertificate');
      if (keys === undefined || (secret === undefined) === (certificate === undefined)) {
        notes.lost(
          `${azure.path}.authSecretRef`,
          'lacks a client secret or certificate',
          'Write `auth` of the store by hand.',
        );
        return { method: 'default' };
      }
      const credential = secrets.refer(secret ?? certificate, undefined, of);
      if (tenantId !== undefined) keys.ignore('tenantId');
      return {
        method: secret === undefined ? 'clientCertificate' : 'clientSecret',
        tenantId: tenantId ?? identifier(keys, 'tenantId', context),
        clientId: identifier(keys, 'clientId', context),
        [secret === undefined ? 'certificate' : 'clientSecret']: credential,
      };
    }
  }
}

/** Theirs stand in a Secret, beside the credential. */
function identifier(keys: Node, field: string, { notes, secrets, found }: StoreContext): unknown {
  const ref = keys.child(field);
  if (ref === undefined)
    notes.lost(`${keys.path}.${field}`, 'is missing', 'Write `auth` of the store by hand.');
  return secrets.refer(ref, undefined, { namespace: found.namespace, notes });
}
