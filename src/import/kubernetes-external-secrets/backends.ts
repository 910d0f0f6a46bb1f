import type { DerivedStores } from '../derived-stores.ts';
import { ROLE, regionOf } from '../identity.ts';
import { createNode, type Json, type Node, type Notes } from '../node.ts';
import type { SecretRefs } from '../store.ts';
import type { Defaults } from '../tool.ts';
import { addressOf, noteAccount, splitKey } from '../vault-settings.ts';
import type { ControllerSettings } from './controller.ts';

export interface BackendContext {
  readonly notes: Notes;
  readonly stores: DerivedStores;
  readonly secrets: SecretRefs;
  readonly defaults: Defaults;
  readonly controller: ControllerSettings;
}

/** Converts a key of the backend to the store and key of a source. Adds a note if that is not possible. */
export type Place = (key: string, at: string) => Json | undefined;

/** The backend of an ExternalSecret. */
export interface Backend {
  readonly kind: 'secretsManager' | 'systemManager' | 'vault' | 'azureKeyVault';
  readonly place: Place;
}

/** Converts the backend fields of the spec. Returns `undefined` and adds a note if there is no equivalent. */
export function backendOf(spec: Node, context: BackendContext): Backend | undefined {
  const type = spec.text('backendType') ?? 'none';
  const role = spec.text('roleArn');
  const region = spec.text('region');
  const vault = { role: spec.text('vaultRole'), mount: spec.text('vaultMountPoint') };
  const kvVersion = spec.text('kvVersion') === '1' ? 1 : 2;
  const keyVault = spec.text('keyVaultName');
  // These fields belong to backends that have no equivalent.
  spec.ignore('projectId', 'keyByName');
  switch (type) {
    case 'secretsManager':
    case 'secretManager':
    case 'systemManager':
      return awsBackend(type === 'systemManager' ? type : 'secretsManager', { role, region }, context);
    case 'vault':
      return vaultBackend({ ...vault, kvVersion }, context);
    case 'azureKeyVault':
      return azureBackend(keyVault, context);
    default:
      context.notes.lost(
        'spec.backendType',
        `\`${type}\` is a backend that secretbridge does not read; it reads secretsManager, systemManager, vault and azureKeyVault`,
        'Move its values into one of these stores.',
      );
      return undefined;
  }
}

const STORES = { secretsManager: 'aws-secrets-manager', systemManager: 'aws-parameter-store' } as const;

function awsBackend(
  kind: 'secretsManager' | 'systemManager',
  { role, region: own }: { readonly role: string | undefined; readonly region: string | undefined },
  { notes, stores, defaults, controller }: BackendContext,
): Backend | undefined {
  const region =
    own ?? defaults.region ?? controller.value('AWS_REGION') ?? controller.value('AWS_DEFAULT_REGION');
  if (region === undefined) {
    notes.lost(
      'spec.region',
      'is missing; the controller has its own default',
      'Import the object again with `--region`, or together with the Deployment of the controller.',
    );
    return undefined;
  }
  if (role !== undefined && !ROLE.test(role))
    notes.lost('spec.roleArn', `\`${role}\` is not the ARN of a role`, 'Write `assumeRole` by hand.');
  notes.changed(
    role === undefined ? 'spec.backendType' : 'spec.roleArn',
    "secretbridge uses the identity of its own pod instead of the controller's identity",
    role === undefined
      ? "Give secretbridge's service account the same role."
      : `Let the trust policy of ${role} accept the role of secretbridge.`,
  );
  // The controller assumes this role first, so that the roles of the objects need to trust only this one.
  const intermediate = controller.value('AWS_INTERMEDIATE_ROLE_ARN');
  const roles = role === undefined ? [] : [...(intermediate === undefined ? [] : [intermediate]), role];
  const assumeRole = roles.map((roleArn) => ({ roleArn }));
  const auth = { method: 'default', ...(role === undefined ? {} : { assumeRole }) };
  const name = stores.use(() => ({ kind: STORES[kind], ...regionOf(region), auth }), {
    preferred: [kind === 'systemManager' ? 'aws-parameters' : 'aws', region, role?.replace(/^.*\//, '') ?? []]
      .flat()
      .join('-'),
    namespaces: undefined,
    notes,
    at: 'spec',
  });
  return name === undefined ? undefined : { kind, place: (key) => ({ store: name, key }) };
}

interface VaultFields {
  readonly role: string | undefined;
  readonly mount: string | undefined;
  readonly kvVersion: 1 | 2;
}

function vaultBackend(
  { role: ownRole, mount: ownMount, kvVersion }: VaultFields,
  { notes, stores, defaults, controller }: BackendContext,
): Backend | undefined {
  const address = defaults.vaultAddress ?? controller.value('VAULT_ADDR');
  const role = ownRole ?? controller.value('DEFAULT_VAULT_ROLE');
  const login = (ownMount ?? controller.value('DEFAULT_VAULT_MOUNT_POINT') ?? 'kubernetes').replace(
    /^\/*(?:auth\/)?|\/+$/g,
    '',
  );
  const namespace = controller.value('VAULT_NAMESPACE');
  if (address === undefined)
    notes.lost(
      'spec.backendType',
      'the address of Vault is a setting of the controller',
      'Import the object again with `--vault-address`, or together with the Deployment of the controller.',
    );
  if (role === undefined)
    notes.lost(
      'spec.vaultRole',
      'is missing; the controller has its own default',
      'Import the object again together with the Deployment of the controller.',
    );
  if (address === undefined || role === undefined) return undefined;
  noteAccount('spec.vaultRole', { who: 'the controller', role }, notes);
  const base = addressOf(address, 'spec.backendType', notes);
  const place: Place = (key, at) => {
    const split = splitKey(key, { mount: undefined, kvVersion });
    if (split === undefined) {
      notes.lost(at, `the key \`${key}\` contains no mount`, 'Fix the object, and import it again.');
      return undefined;
    }
    if (split.guessed)
      notes.changed(
        at,
        `the first part of \`${key}\` is used as the mount`,
        'Check it, and correct store and key if the mount has several parts.',
      );
    const store = stores.use(
      () => ({
        kind: 'vault',
        ...base,
        ...(namespace === undefined ? {} : { namespace }),
        mount: split.mount,
        kvVersion,
        auth: { method: 'kubernetes', role, ...(login === 'kubernetes' ? {} : { mountPath: login }) },
      }),
      {
        preferred: `${split.mount.replaceAll('/', '-')}-${role}`,
        namespaces: undefined,
        notes,
        at: 'spec',
      },
    );
    return store === undefined ? undefined : { store, key: split.key };
  };
  return { kind: 'vault', place };
}

function azureBackend(
  vault: string | undefined,
  { notes, stores, secrets, controller }: BackendContext,
): Backend | undefined {
  if (vault === undefined) {
    notes.lost('spec.keyVaultName', 'is missing', 'Fix the object, and import it again.');
    return undefined;
  }
  const suffix = controller.value('AZURE_KEY_VAULT_DNS_SUFFIX') ?? 'vault.azure.net';
  const refer = (name: string) => {
    const ref = controller.secret(name);
    return (
      controller.value(name) ??
      (ref &&
        secrets.refer(createNode(ref, `env.${name}`, notes), undefined, {
          namespace: controller.namespace,
          notes,
        }))
    );
  };
  const credentials = {
    tenantId: refer('AZURE_TENANT_ID'),
    clientId: refer('AZURE_CLIENT_ID'),
    clientSecret: controller.secret('AZURE_CLIENT_SECRET') && refer('AZURE_CLIENT_SECRET'),
  };
  const isComplete = Object.values(credentials).every((value) => value !== undefined);
  if (!isComplete)
    notes.changed(
      'spec.keyVaultName',
      'the credentials are settings of the controller; the default login of secretbridge is used',
      'Write `auth` of the store by hand, or import the Deployment of the controller too.',
    );
  const auth = isComplete ? { method: 'clientSecret', ...credentials } : { method: 'default' };
  const name = stores.use(() => ({ kind: 'azure-key-vault', vaultUrl: `https://${vault}.${suffix}`, auth }), {
    preferred: vault,
    namespaces: undefined,
    notes,
    at: 'spec',
  });
  return name === undefined ? undefined : { kind: 'azureKeyVault', place: (key) => ({ store: name, key }) };
}
