/** Returns the configuration of the quickstart. The address belongs to the OpenBao server that was just started. */
export function quickstartConfig(address: string): string {
  return `apiVersion: secretbridge.dev/v1
instance: quickstart
cluster: { kind: directory, path: ../cluster }
audit: { store: { kind: sqlite, path: ../state/audit.db } }

stores:
  - name: vault
    kind: vault
    address: ${address}
    auth: { method: token, token: { env: QUICKSTART_TOKEN } }
  - name: files
    kind: files
    path: ../files

mappings:
  - name: payments-db
    target: { namespace: payments, labels: { team: payments } }
    data:
      DB_USER:     { store: vault, key: payments/db, property: username }
      DB_PASSWORD: { store: vault, key: payments/db, property: password }
  - name: features
    target: { namespaces: [payments, shop] }
    dataFrom:
      - { store: files, key: features.yaml, rename: { case: upper } }
`;
}

export const LEGACY_MAPPING = `mappings:
  - name: legacy
    target: { namespace: shop }
    data:
      PASSWORD: { store: vault, key: payments/db, property: password }
`;

/** This Secret was written by hand and belongs to another owner. */
export const FOREIGN_SECRET = `apiVersion: v1
kind: Secret
metadata:
  name: legacy
  namespace: shop
stringData:
  PASSWORD: somebody-elses
`;

/** @param bin The folder of the command. */
export const nextSteps = (bin: string): string => `
That was the whole way: store to Secret, with owner labels and an audit. To use it on your own cluster and Vault:

  0. export PATH="${bin}:$PATH"   # the command secretbridge, in any folder and in pipes
  1. Write secretbridge.yaml: start from the configuration above, with
       cluster: { kind: kubernetes }          # your kubeconfig, or the identity of the pod
       stores: [ { name: vault, kind: vault, address: https://your-vault:8200, auth: { … } } ]
  2. secretbridge validate                    # every mistake with its place
  3. secretbridge rbac | kubectl apply -f -   # the least rights that it needs
  4. secretbridge doctor                      # tries each store, key and target, and says what to fix
  5. secretbridge plan, then secretbridge sync

Without a cluster and a Vault: \`npm run servers\` starts real ones. More: docs/tutorials/first-sync.md
`;
