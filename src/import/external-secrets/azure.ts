import { managedIdentity } from '../identity.ts';
import type { Json, Node } from '../node.ts';
import { accountOf, type Store, type StoreContext } from '../store.ts';

/** https://external-secrets.io/latest/provider/azure-key-vault/ */
export function azureStore(azure: Node, context: StoreContext): Store | undefined {
  const { notes, name } = context;
  const vaultUrl = azure.text('vaultUrl')?.replace(/\/+$/, '');
  const auth = authOf(azure, context);
  azure.ignore('useAzureSDK');
  const authority = authorityOf(azure, notes);
  if (vaultUrl === undefined) {
    notes.lost(`${azure.path}.vaultUrl`, 'is missing', 'Fix the object, and import it again.');
    return undefined;
  }
  return {
    kind: 'azure-key-vault',
    name,
    place(key, about, at) {
      const [type = '', objectName = ''] = key.includes('/') ? key.split('/') : ['secret', key];
      if (type === 'secret') return { store: name, key: objectName };
      if (type === 'cert') {
        about.changed(
          at,
          'a certificate is read as its chain in PEM; External Secrets returns only the certificate, in binary form (DER)',
          'Change the programs that read it, or keep it with External Secrets.',
        );
        return { store: name, key: objectName, object: 'certificate' };
      }
      if (type === 'key') {
        about.changed(at, 'a key is its public JWK as stored; the order of its members may differ');
        return { store: name, key: objectName, object: 'key' };
      }
      about.lost(
        at,
        `\`${type}\` is not an object type: use secret, cert or key`,
        'Fix the object, and import it again.',
      );
      return undefined;
    },
    searched: name,
    storeConfigs: () => [{ name, kind: 'azure-key-vault', vaultUrl, auth, ...authority }],
  };
}

/** The address of the vault tells the public cloud, and those of the US government and of China. */
function authorityOf(azure: Node, notes: StoreContext['notes']): Json {
  const cloud = azure.text('environmentType') ?? 'PublicCloud';
  const custom = azure.child('customCloudConfig');
  // The vault itself names its scope, and resources are not managed.
  custom?.ignore('keyVaultEndpoint', 'keyVaultDNSSuffix', 'resourceManagerEndpoint');
  const own = custom?.text('activeDirectoryEndpoint');
  const authorityHost = own ?? (cloud === 'GermanCloud' ? GERMAN_LOGIN : undefined);
  const isKnown = ['PublicCloud', 'USGovernmentCloud', 'ChinaCloud'].includes(cloud);
  if (authorityHost !== undefined) return { authorityHost };
  if (!isKnown)
    notes.lost(
      `${azure.path}.customCloudConfig.activeDirectoryEndpoint`,
      `is missing, so the login service of the cloud ${cloud} is unknown`,
      'Fix the object, and import it again.',
    );
  return {};
}

const GERMAN_LOGIN = 'https://login.microsoftonline.de';

function authOf(azure: Node, context: StoreContext): Json {
  const { notes } = context;
  const tenantId = azure.text('tenantId');
  const identityId = azure.text('identityId');
  const login = {
    tenantId,
    keys: azure.child('authSecretRef'),
    ref: azure.child('serviceAccountRef'),
  };
  switch (azure.text('authType') ?? 'ServicePrincipal') {
    case 'ManagedIdentity':
      return managedIdentity(identityId, `${azure.path}.authType`, notes);
    case 'WorkloadIdentity':
      return workloadIdentity(azure, login, context);
    default:
      return servicePrincipal(azure, login, context);
  }
}

interface Login {
  readonly tenantId: string | undefined;
  readonly keys: Node | undefined;
  readonly ref: Node | undefined;
}

function workloadIdentity(
  azure: Node,
  { tenantId, keys, ref }: Login,
  { object, notes, secrets, account }: StoreContext,
): Json {
  const owner = { namespace: object.namespace, notes };
  const accountAnnotations = account(ref)?.annotations ?? {};
  const accountId = accountOf(ref, object.namespace);
  ref?.ignore('audiences');
  const clientId =
    accountAnnotations['azure.workload.identity/client-id'] ??
    secrets.refer(keys?.child('clientId'), undefined, owner);
  const tenant =
    tenantId ??
    accountAnnotations['azure.workload.identity/tenant-id'] ??
    secrets.refer(keys?.child('tenantId'), undefined, owner);
  // Ignore these fields, because they only repeat the ids that were read above.
  for (const field of ['clientId', 'tenantId']) keys?.ignore(field);
  const federate = "Add a federated credential for secretbridge's service account to the application";
  notes.changed(
    ref?.path ?? `${azure.path}.authType`,
    `secretbridge logs in with its own service account${accountId === undefined ? '' : `, not as \`${accountId.namespace}/${accountId.name}\``}`,
    typeof clientId === 'string'
      ? `${federate} ${clientId}.`
      : clientId === undefined
        ? `${federate}, and set \`clientId\` or the annotation of that account.`
        : `${federate}.`,
  );
  return {
    method: 'workloadIdentity',
    ...(tenant === undefined ? {} : { tenantId: tenant }),
    ...(clientId === undefined ? {} : { clientId }),
  };
}

function servicePrincipal(azure: Node, { tenantId, keys }: Login, context: StoreContext): Json {
  const { object, notes, secrets } = context;
  const owner = { namespace: object.namespace, notes };
  const secret = keys?.child('clientSecret');
  const certificate = keys?.child('clientCertificate');
  if (keys === undefined || (secret === undefined) === (certificate === undefined)) {
    notes.lost(
      `${azure.path}.authSecretRef`,
      'needs either a client secret or a certificate',
      'Write `auth` of the store by hand.',
    );
    return { method: 'default' };
  }
  const credential = secrets.refer(secret ?? certificate, undefined, owner);
  if (tenantId !== undefined) keys.ignore('tenantId');
  return {
    method: secret === undefined ? 'clientCertificate' : 'clientSecret',
    tenantId: tenantId ?? identifier(keys, 'tenantId', context),
    clientId: identifier(keys, 'clientId', context),
    [secret === undefined ? 'certificate' : 'clientSecret']: credential,
  };
}

/** Converts a client id or tenant id. External Secrets reads both from a Secret, as it does with the credential. */
function identifier(keys: Node, field: string, { notes, secrets, object }: StoreContext): unknown {
  const ref = keys.child(field);
  if (ref === undefined)
    notes.lost(`${keys.path}.${field}`, 'is missing', 'Write `auth` of the store by hand.');
  return secrets.refer(ref, undefined, { namespace: object.namespace, notes });
}
