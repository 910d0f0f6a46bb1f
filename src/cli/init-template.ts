import { stringify } from 'yaml';

export const STORE_KINDS = ['vault', 'files', 'aws-secrets-manager', 'azure-key-vault'] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

/** What `init` asks for; the names are those of its options. */
export interface Answers {
  readonly instance: string;
  readonly store: StoreKind;
  /** Vault's address, the folder, the region, the vault's URL: whichever the kind of store needs. */
  readonly at: string;
  readonly key: string;
  readonly namespace: string;
  readonly secret: string;
}

/** What each kind of store needs to be told, and what to offer for it. */
export const PLACES: Readonly<Record<StoreKind, { readonly question: string; readonly offer: string }>> = {
  vault: { question: 'Address of Vault or OpenBao', offer: 'https://vault.internal:8200' },
  files: { question: 'Folder of the files', offer: './secrets' },
  'aws-secrets-manager': { question: 'AWS region', offer: 'eu-west-1' },
  'azure-key-vault': { question: 'URL of the key vault', offer: 'https://example.vault.azure.net' },
};

/** A commented configuration that `validate` accepts. */
export function initialConfig({ instance, store, at, key, namespace, secret }: Answers): string {
  return `# secretbridge's configuration. Check it with \`secretbridge validate\`, see what it would do with
# \`secretbridge plan\`. Every field: docs/reference/configuration.md
apiVersion: secretbridge.dev/v1

# The name of this installation. It goes into a label of every Secret that is ours.
instance: ${scalar(instance)}

# Where the Secrets are written: your kubeconfig, or the identity of the pod.
cluster: { kind: kubernetes }

# Where the record of every read, write and refusal is kept.
audit: { store: { kind: sqlite, path: ./state/audit.db } }

# Where values come from. Credentials are references, never values: { env: NAME }, { file: PATH }.
stores:
  - name: ${store}
    kind: ${store}
${storeFields(store, at)}
# What becomes which Secret.
mappings:
  - name: ${scalar(secret)}
    target: { namespace: ${scalar(namespace)} }
    # Whether to take over a Secret of this name that is not ours: refuse | adopt
    onConflict: refuse
    data:
      # The key of the Secret, and where its value is. Add \`property: NAME\` for one member of an object.
      VALUE: { store: ${store}, key: ${scalar(key)} }
`;
}

function storeFields(store: StoreKind, at: string): string {
  switch (store) {
    case 'vault':
      return `    address: ${scalar(at)}
    mount: secret        # the key/value mount
    kvVersion: 2
    auth: { method: appRole, roleId: bridge, secretId: { env: VAULT_SECRET_ID } }
`;
    case 'files':
      return `    path: ${scalar(at)}
`;
    case 'aws-secrets-manager':
      return `    region: ${scalar(at)}
    auth: { method: default }      # the identity of the pod, or of your environment
`;
    case 'azure-key-vault':
      return `    vaultUrl: ${scalar(at)}
    auth: { method: default }      # the identity of the pod, or of your environment
`;
  }
}

/** Quoted where YAML would take it for something else. */
function scalar(text: string): string {
  return stringify(text, { lineWidth: 0 }).trimEnd();
}
