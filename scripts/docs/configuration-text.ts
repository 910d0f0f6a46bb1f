import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text above the tables of the reference page: facts that the schema cannot express. */
export const BEFORE_FIELDS = `The configuration is one or more YAML files. \`secretbridge validate\` checks these files and reports every problem
with file, line and column. For completion and checks in an editor, begin a file with:

\`\`\`yaml
# yaml-language-server: $schema=./docs/reference/secretbridge.schema.json
\`\`\`

## Where it is found

secretbridge uses the first of these places that exists:

1. \`--config PATH\`, once or several times: files or folders
2. the environment variable \`SECRETBRIDGE_CONFIG\`: one or more paths, separated by colons
3. \`./secretbridge.yaml\`
4. the folder \`/etc/secretbridge/\`

- In a folder, every \`*.yaml\` and \`*.yml\` file is read in the order of the names. Subfolders and hidden entries are
  skipped, so a mounted ConfigMap works.
- If several \`--config\` options or folders lead to the same file, this file is read once.
- Several files or documents form one configuration. The lists \`formerInstances\`, \`include\`, \`stores\`,
  \`mappings\` and \`access\` are joined. Any other section may appear only once. If two stores or two mappings have the
  same name, \`validate\` reports an error that names both positions.

## Rules for the files

The files are YAML 1.2 in UTF-8, with at most 4 MiB each. Anchors, aliases, merge keys (\`<<\`), tags, duplicate keys
and unknown keys are refused. An empty file makes the configuration invalid, because a writer may have emptied the file
before filling it again. So the mappings of an emptied file do not count as removed. A file with only a comment does not
count as empty.

- **Names** of instances, stores and mappings: \`[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?\`. These names become labels in
  Kubernetes.
- **Durations**: \`500ms\`, \`30s\`, \`5m\`, \`24h\`, \`90d\`, also combined as in \`1h30m\`.
- **Sizes**: \`64KiB\`, \`1MiB\`.
- **Paths** on this machine are relative to the file that contains them. \`~/\` is the home folder.
- **Patterns** in \`access\` and \`include\` match the whole text. \`*\` matches any characters except \`/\`, and \`**\`
  matches any characters. All other characters match only themselves, and upper and lower case differ.
- **Keys** have the form that their store requires: names or ARNs in AWS, names of letters,
  digits and \`-\` in Azure, and paths in all other stores. A name of Parameter Store that has levels starts with
  \`/\`. \`validate\` reports keys in any other form with their position.

## Access and tenants' files

Without \`access\`, every mapping may use every key. With \`access\`, each source of a mapping needs one rule that
allows the namespace of the target together with the store and the key of the source. Otherwise the mapping fails with
\`NOT_ALLOWED\` before any read, and other mappings continue.

An entry of \`include\` names the file of a tenant. A tenant's file holds only \`mappings\` (and \`apiVersion\`). If
a tenant's file is invalid, only this file is left out ([a broken file](../how-to/tenants.md#a-broken-file)). The
mappings of the file may use only the namespaces, stores and keys that its entry of \`include\` allows. If the main
file has \`access\`, the rules in \`access\` must allow the same namespaces, stores and keys too. The \`defaults\` of
the main file also apply to tenants' mappings.

An entry with \`configMaps\` instead of \`path\` selects [ConfigMaps of teams](../how-to/team-config-maps.md) by their
labels. Their mappings target the namespace of the ConfigMap and do not name it. \`{namespace}\` in \`stores\` and
\`keys\` stands for this namespace.

- Ambiguous keys are never allowed: keys with a \`.\`, \`..\` or empty segment, a backslash, or invisible characters.
  Such keys are not allowed either if these characters are percent-encoded (\`%2e\`, \`%2f\`, …) or in a compatibility
  form of Unicode.
- A \`find\` is allowed if one rule allows every key that the \`find\` could find. For example, the pattern
  \`payments/**\` allows a \`find\` with \`path: payments/\`, but the pattern \`payments/*\` does not. In Azure Key
  Vault, whose names have no \`/\`, the pattern \`payments-*\` allows \`path: payments-\`. Each key that is found is
  checked too.
- A key that is an ARN is allowed only by the pattern \`**\` or by a pattern that begins with \`arn:\`. The pattern
  \`payments/**\` allows the name \`payments/db\`, but not the ARN of the same secret. The pattern \`a*\` allows no ARN.
- The namespaces that a \`namespaceSelector\` finds are checked one by one when they are found.
- If \`--config\` names a file, or the folder of a file, \`include\` must not name the same file, because no limits
  apply to the files of \`--config\`. So keep tenants' files in a folder of their own.

## Credentials

A configuration file never contains a credential, but only a reference that says where the credential is:

| reference | meaning |
| --- | --- |
| \`{ env: NAME }\` | an environment variable |
| \`{ file: PATH }\` | the content of a file, without one final newline |
| \`{ secretRef: { name: NAME, key: KEY } }\` | a key of a Secret in secretbridge's own namespace, without one final newline. If secretbridge runs outside of the cluster, its own namespace is the namespace in the context of the kubeconfig |

\`validate\` reports text that looks like a credential in keys, labels, annotations, templates and addresses.
\`validate\` looks for tokens and keys of known forms, passwords in addresses, and \`password: …\` with a literal. If
\`validate\` finds such text, \`validate\` fails with exit code 3, but the service still accepts the configuration. If
the text is not a credential, add a comment on the line of the text, or on a separate line above this line:

\`\`\`text
annotations: { token: 7Hq2mZ0x-build }   # secretbridge:allow a build number
\`\`\``;

/** The example configuration of the page. A test loads it. */
export const EXAMPLE = readFileSync(join(import.meta.dirname, 'configuration-example.yaml'), 'utf8');
