import { stringify } from 'yaml';
import { isLoopback } from '../../core/loopback.ts';

/** The answers that `init` needs, named like its options. */
export interface Answers {
  readonly instance: string;
  readonly cluster: ClusterKind;
  readonly store: StoreKind;
  /**
   * The location of the store. Depending on its kind, this is the address of Vault, a folder, an AWS region, or the URL
   * of a key vault.
   */
  readonly at: string;
  /** For Vault only. */
  readonly mount?: string;
  readonly login?: Login;
  /** For the login method `appRole` only. */
  readonly roleId?: string;
  readonly key: string;
  readonly namespace: string;
  readonly secret: string;
}

/**
 * Returns a configuration that contains comments and that `validate` accepts. @param schema The name of the schema
 * file, which editors read.
 */
export function initialConfig(answers: Answers, schema: string | undefined): string {
  const { instance, cluster, store, namespace, secret } = answers;
  const editor = schema === undefined ? '' : `# yaml-language-server: $schema=./${schema}\n`;
  return `${editor}# Configuration of secretbridge. Check it with \`secretbridge validate\`. \`secretbridge plan\` shows what it
# would change. All fields: docs/reference/configuration.md
apiVersion: secretbridge.dev/v1

# The name of this installation. It is a label on every Secret that secretbridge owns.
instance: ${scalar(instance)}

${clusterFields(cluster)}
# Where the audit log is stored: the records of all reads, writes and refusals.
audit: { store: { kind: sqlite, path: ./state/audit.db } }

# The secret stores. Credentials are references, never values: { env: NAME }, { file: PATH }.
stores:
  - name: ${store}
    kind: ${store}
${storeFields(answers)}
# Which values become which Secret.
mappings:
  - name: ${scalar(secret)}
    target: { namespace: ${scalar(namespace)} }
    # If a Secret with this name exists and secretbridge does not own it: refuse | adopt
    onConflict: refuse
${sourceFields(answers)}`;
}

function clusterFields(cluster: ClusterKind): string {
  return cluster === 'kubernetes'
    ? `# The cluster to write to, from your kubeconfig or the identity of the pod.
cluster: { kind: kubernetes }
`
    : `# Writes manifests to a folder. For a cluster: { kind: kubernetes }
cluster: { kind: directory, path: ./cluster }
`;
}

function storeFields({ store, at, mount = 'secret', login = 'token', roleId }: Answers): string {
  switch (store) {
    case 'vault':
      return `    address: ${scalar(at)}
${needsAllowHttp(at) ? '    allowHttp: true      # unencrypted: use https outside of tests\n' : ''}    mount: ${scalar(mount)}        # the key/value mount
    kvVersion: 2
    ${loginLine(login, roleId)}
`;
    case 'files':
      return `    path: ${scalar(at)}
`;
    case 'aws-secrets-manager':
    case 'aws-parameter-store':
      return `    region: ${scalar(at)}
    auth: { method: default }      # the identity of the pod, or of your environment
`;
    case 'azure-key-vault':
      return `    vaultUrl: ${scalar(at)}
    auth: { method: default }      # the identity of the pod, or of your environment
`;
  }
}

function loginLine(login: Login, roleId = DEFAULT_ROLE_ID): string {
  switch (login) {
    case 'token':
      return 'auth: { method: token, token: { env: VAULT_TOKEN } }      # for a first try; a token expires, so use a role for a service';
    case 'appRole':
      return `auth: { method: appRole, roleId: ${scalar(roleId)}, secretId: { env: VAULT_SECRET_ID } }`;
    case 'kubernetes':
      return 'auth: { method: kubernetes, role: bridge }      # the identity of the pod';
  }
}

/** A placeholder for the role id. */
export const DEFAULT_ROLE_ID = 'bridge';

function sourceFields({ store, key }: Answers): string {
  const source = `{ store: ${store}, key: ${scalar(key)} }`;
  return store === 'vault'
    ? `    # Each field of the secret at this key becomes a key of the Secret. To name them instead:
    # data: { DB_PASSWORD: { store: ${store}, key: NAME, property: password } }
    dataFrom:
      - ${source}
`
    : `    data:
      # A key of the Secret, and its source. For one member of a JSON object, add \`property: NAME\`.
      VALUE: ${source}
`;
}

function needsAllowHttp(address: string): boolean {
  return address.startsWith('http:') && !isLoopback(address);
}

/**
 * Quotes text that has a special meaning in YAML. The result is also valid inside a list or mapping in braces or
 * brackets.
 */
function scalar(text: string): string {
  return /[,[\]{}\n]/.test(text) ? JSON.stringify(text) : stringify(text, { lineWidth: 0 }).trimEnd();
}

export const STORE_KINDS = [
  'vault',
  'files',
  'aws-secrets-manager',
  'aws-parameter-store',
  'azure-key-vault',
] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

export const CLUSTER_KINDS = ['kubernetes', 'directory'] as const;
export type ClusterKind = (typeof CLUSTER_KINDS)[number];

export const LOGINS = ['token', 'appRole', 'kubernetes'] as const;
export type Login = (typeof LOGINS)[number];
