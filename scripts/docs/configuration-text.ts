/** What the schema cannot tell: the prose of the reference page before its tables. */
export const BEFORE_FIELDS = `One or more YAML files say what secretbridge does. \`secretbridge validate\` checks them and reports every problem at
once, each with file, line and column. For completion and checks in an editor, put this first into a file:

\`\`\`yaml
# yaml-language-server: $schema=./docs/reference/secretbridge.schema.json
\`\`\`

## Where it is found

1. \`--config PATH\`, once or several times: files or folders;
2. else the environment variable \`SECRETBRIDGE_CONFIG\`: one or more paths, separated by colons;
3. else \`./secretbridge.yaml\`;
4. else the folder \`/etc/secretbridge/\`.

Of a folder, every \`*.yaml\` and \`*.yml\` file is read, in the order of their names; folders in it and hidden entries
are not, so a mounted ConfigMap can be named as it is. A file that is named several times, or beside its folder, is read
once. Several files, and several documents in a file, make one configuration: the lists \`formerInstances\`, \`include\`,
\`stores\`, \`mappings\` and \`access\` are put together, any other section may be given once. Two stores, or two
mappings, of one name are an error that names both places.

## What the files may hold

YAML 1.2 in UTF-8, at most 4 MiB a file. Anchors, aliases, merge keys (\`<<\`) and tags are refused, and so are
duplicate and unknown keys. A file without any text makes the configuration invalid, since whoever writes one empties it
first: its mappings have not left. A comment alone is text.

- **Names** of instances, stores and mappings: \`[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?\`. They become labels.
- **Durations**: \`500ms\`, \`30s\`, \`5m\`, \`24h\`, \`90d\`, also put together as in \`1h30m\`.
- **Paths** on this machine are relative to the file that says them. \`~/\` is the home folder.
- **Patterns** in \`access\` and \`include\` are anchored: they cover the whole text. \`*\` is any characters within one
  segment between \`/\`, \`**\` any characters; everything else stands for itself, upper and lower case told apart.
- **Keys** must be of the form that their store takes: AWS names and ARNs, Azure names of letters, digits and \`-\`,
  paths elsewhere. \`validate\` says so with the place.

## Access and tenants' files

Without \`access\`, every mapping may use every key. With it, a mapping needs a rule that allows its namespace, the store
and the key together, for each of its sources; else it fails with \`NOT_ALLOWED\` before anything is read, and the others
go on. \`include\` adds the files of tenants, which hold \`mappings\` (and \`apiVersion\`) and nothing else: anything more
makes the configuration invalid. Their mappings may use only what the bounds of their \`include\` allow, and \`access\`
as well where it is there. The \`defaults\` of the main file hold for them.

- A key that something on the way might take for another is never allowed: with a \`.\`, \`..\` or empty segment, with a
  backslash, with any of these in percent-encoding (\`%2e\`, \`%2f\`, …) or in a compatibility form of Unicode, or with
  characters that show nothing.
- A \`find\` is allowed where a rule allows all that it could find: below \`payments/\` by \`payments/**\`, not by
  \`payments/*\`. In Azure Key Vault, whose names have no \`/\`, \`path: payments-\` is allowed by \`payments-*\`. What it
  finds is judged key by key too.
- An ARN is judged by its own text, and only patterns that begin with \`arn:\` allow one, beside \`**\`: \`payments/**\`
  allows the name \`payments/db\` and not the ARN of that secret. Neither would \`a*\` allow every ARN.
- Namespaces that a \`namespaceSelector\` finds are judged one by one, as they are found.
- A file that \`--config\` names, or that lies in a folder that it names, cannot be included: no bounds hold there. Keep
  tenants' files in a folder of their own.

## Credentials

A credential never stands in the file; a reference says where it is found:

| reference | meaning |
| --- | --- |
| \`{ env: NAME }\` | an environment variable |
| \`{ file: PATH }\` | the content of a file, without one final newline |
| \`{ secretRef: { name: NAME, key: KEY } }\` | a key of a Secret in the bridge's own namespace, without one final newline; outside the cluster, in the namespace of the kubeconfig's context |

\`validate\` also reports what looks like a credential in any other text (keys, labels, annotations, templates, addresses):
tokens and keys of known forms, passwords in addresses, \`password: …\` with a literal, and text as if by chance. It stops
\`validate\` (exit code 3), and not the service. Where it is none, say so with a comment on that line, or on a line of its own above:

\`\`\`text
labels: { build: 7Hq2mZ0xWd9LrT4vKc1N }   # secretbridge:allow a build number
\`\`\``;

/** Loads as it stands: a test does it. */
export const EXAMPLE = `apiVersion: secretbridge.dev/v1
instance: prod-eu
formerInstances: []                # targets of these names are ours too
cluster: { kind: kubernetes, scope: namespace }
engine: { kind: memory, concurrency: 16 }
audit:
  store: { kind: sqlite, path: ./state/audit.db }
keys:                              # made on first use beside a SQLite store
  fingerprint: [ { file: ./state/fingerprint.key } ]   # newest first; older ones are still understood
  checkpoint: { file: ./state/checkpoint.key }
log: { level: info, format: json }
brake: { share: 0.1, window: 24h }
absence: { readings: 3, over: 10m }
defaults:                          # every mapping may override each of these
  refresh: 5m                      # how stale a target may become
  onConflict: refuse               # refuse | adopt | adoptAndDropOwner
  onDrift: repair                  # repair | report
  maxAge: 90d                      # warn when a source has not been rotated for longer
stores:
  - name: team-vault
    kind: vault                    # HashiCorp Vault and OpenBao
    address: https://vault.internal:8200
    namespace: admin/team
    mount: secret
    kvVersion: 2
    auth: { method: appRole, roleId: bridge, secretId: { file: /run/secrets/secret-id } }
    tls: { caFile: /etc/ssl/vault-ca.pem }
    limits: { requestsPerSecond: 50, concurrency: 8 }
  - name: local
    kind: files
    path: ./secrets
mappings:
  - name: payments-db
    target:
      namespace: payments          # or namespaces: [a, b]
      secret: payments-db          # default: the mapping's name
      type: Opaque
      labels: { team: payments }
    data:
      DB_PASSWORD: { store: team-vault, key: payments/db, property: password }
      API_KEY: { store: team-vault, key: payments/api, property: key, version: 3, optional: true }
      ca.crt: { store: local, key: payments/ca.pem }
    dataFrom:
      - { store: team-vault, key: payments/env, rename: { prefix: APP_, case: upper } }
    refresh: 10m
access:                            # when present, everything not allowed is refused before any read
  - { namespaces: [payments, 'payments-*'], stores: [team-vault, local], keys: ['payments/**'] }
`;
