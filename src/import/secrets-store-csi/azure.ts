import { federatedIdentity, managedIdentity } from '../identity.ts';
import { createNode, type Json, type Node } from '../node.ts';
import { objectsInText, type TextItem } from '../yaml-text.ts';
import { type ClassContext, FIX, flagOf, KEEP, lostFile, type MountedFile, usersOf } from './files.ts';

const CLOUDS: Readonly<Record<string, string>> = {
  AZURECLOUD: 'vault.azure.net',
  AZUREPUBLICCLOUD: 'vault.azure.net',
  AZUREUSGOVERNMENT: 'vault.usgovcloudapi.net',
  AZUREUSGOVERNMENTCLOUD: 'vault.usgovcloudapi.net',
  AZURECHINACLOUD: 'vault.azure.cn',
  AZUREGERMANCLOUD: 'vault.microsoftazure.de',
};

/** The login service of the one cloud that the address of a vault does not tell. */
const GERMAN = { authorityHost: 'https://login.microsoftonline.de' };

/** https://azure.github.io/secrets-store-csi-driver-provider-azure/docs/getting-started/usage/ */
export function azureFiles(parameters: Node, context: ClassContext): readonly MountedFile[] {
  const { notes, stores } = context;
  const at = parameters.path;
  const vault = parameters.text('keyvaultName')?.trim();
  const cloud = parameters.text('cloudName')?.trim() ?? 'AzurePublicCloud';
  const suffix = CLOUDS[cloud.toUpperCase()];
  if (suffix === undefined)
    notes.lost(`${at}.cloudName`, `secretbridge does not support the cloud ${cloud}`, KEEP);
  if (parameters.has('cloudEnvFileName'))
    notes.lost(`${at}.cloudEnvFileName`, 'addresses of a custom cloud are not supported', KEEP);
  parameters.ignore('cloudEnvFileName');
  const auth = authOf(parameters, context);
  const items = objectsInText(parameters.template('objects') ?? '', {
    at: `${at}.objects`,
    listName: 'array',
    notes,
  });
  if (vault === undefined) notes.lost(`${at}.keyvaultName`, 'is missing', FIX);
  const store = stores.use(
    () => ({
      ...{ kind: 'azure-key-vault', vaultUrl: `https://${vault}.${suffix ?? CLOUDS.AZURECLOUD}`, auth },
      ...(suffix === CLOUDS.AZUREGERMANCLOUD ? GERMAN : {}),
    }),
    { preferred: vault ?? 'azure', namespaces: usersOf(context), notes, at },
  );
  return items.flatMap((item) => (store === undefined ? [] : filesOf(item, store)));
}

/** The identity, in the order of precedence of the provider. */
function authOf(parameters: Node, context: ClassContext): Json {
  const { notes } = context;
  const at = parameters.path;
  const tenantId = (parameters.text('tenantID') ?? parameters.text('tenantId'))?.trim();
  // Both spellings of the field have the same meaning.
  parameters.ignore('tenantId');
  const clientId = parameters.text('clientID')?.trim();
  const identity = parameters.text('userAssignedIdentityID')?.trim();
  if (flagOf(parameters, 'useAzureTokenProxy'))
    notes.changed(
      `${at}.useAzureTokenProxy`,
      'secretbridge does not use the token proxy of AKS; it logs in with a workload identity',
    );
  if (flagOf(parameters, 'usePodIdentity')) {
    notes.changed(
      `${at}.usePodIdentity`,
      "the identity of secretbridge's pod is used",
      "Give the identity of secretbridge's pod the right to read the vault.",
    );
    return { method: 'default' };
  }
  if (flagOf(parameters, 'useVMManagedIdentity'))
    return managedIdentity(identity, `${at}.useVMManagedIdentity`, notes);
  if (clientId !== undefined) return federatedIdentity({ tenantId, clientId }, `${at}.clientID`, notes);
  return servicePrincipal(tenantId, context);
}

/** The credentials of a service principal are in a Secret that the volumes name. */
function servicePrincipal(
  tenantId: string | undefined,
  { object, notes, secrets, mounts }: ClassContext,
): Json {
  const name = mounts.find(({ credentials }) => credentials !== undefined)?.credentials;
  if (name === undefined || tenantId === undefined) {
    notes.changed(
      'spec.parameters',
      'names no identity, and no volume in the input names a Secret with credentials; the default login of secretbridge is used',
      'Write `auth` of the store by hand, or import the workloads that mount the object too.',
    );
    return { method: 'default' };
  }
  const refer = (key: string) => {
    const ref = createNode({ name, key }, 'spec.volumes.csi.nodePublishSecretRef', notes);
    return secrets.refer(ref, undefined, { namespace: object.namespace, notes });
  };
  return {
    method: 'clientSecret',
    tenantId,
    clientId: refer('clientid'),
    clientSecret: refer('clientsecret'),
  };
}

function filesOf({ node, notes }: TextItem, store: string): readonly MountedFile[] {
  const at = node.path;
  const key = node.text('objectName')?.trim();
  const alias = node.text('objectAlias')?.trim();
  const type = node.text('objectType')?.trim() ?? 'none';
  const version = node.text('objectVersion')?.trim();
  const format = node.text('objectFormat')?.trim().toLowerCase();
  const encoding = node.text('objectEncoding')?.trim().toLowerCase() ?? 'utf-8';
  const history = Number(node.text('objectVersionHistory') ?? '0');
  // Files of a Secret have no permissions. A volume sets them with `defaultMode`.
  node.ignore('filePermission');
  node.finish();
  if (key === undefined) {
    notes.lost(`${at}.objectName`, 'is missing', FIX);
    return [];
  }
  const name = alias ?? key;
  if (format === 'pem' && type === 'secret')
    notes.changed(
      `${at}.objectFormat`,
      'a certificate that the vault keeps as PKCS#12 stays PKCS#12',
      'For such a certificate, use a template with `pkcs12_key` and `pkcs12_cert`.',
    );
  const source = { store, key, ...(version === undefined ? {} : { version }) };
  const file = { name, value: sourceFor({ type, encoding, source, at }, notes), notes };
  if (history <= 1) return [file];
  return Array.from({ length: history }, (_, index) =>
    index === 0
      ? { ...file, name: `${name}/0` }
      : lostFile(`${name}/${index}`, `${at}.objectVersionHistory`, {
          what: `\`${name}/${index}\` is an earlier version, counted from the newest one`,
          todo: 'Name the version in the source, or let the program read only the newest version.',
        }),
  );
}

function sourceFor(
  {
    type,
    encoding,
    source,
    at,
  }: { readonly type: string; readonly encoding: string; readonly source: Json; readonly at: string },
  notes: TextItem['notes'],
): MountedFile['value'] {
  if (type === 'secret') {
    if (encoding === 'utf-8') return { source };
    if (encoding === 'base64' || encoding === 'hex') return { source: { ...source, decode: encoding } };
    notes.lost(`${at}.objectEncoding`, `the encoding ${encoding} is not supported`, KEEP);
    return undefined;
  }
  // The provider writes only the certificate of the server, without its issuers.
  if (type === 'cert') return { source: { ...source, object: 'certificate' }, filters: 'pem_leaf' };
  if (type === 'key') return { source: { ...source, object: 'key' }, filters: 'jwk_public_pem' };
  notes.lost(`${at}.objectType`, `\`${type}\` is not an object type: use secret, cert or key`, FIX);
  return undefined;
}
