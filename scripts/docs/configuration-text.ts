import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The text above the tables of the reference page: facts that the schema cannot express. */
export const BEFORE_FIELDS = `The configuration is one or more YAML files. \`secretbridge validate\` checks them and reports every problem with file,
line and column. For completion and checks in an editor, begin a file with:

\`\`\`yaml
# yaml-language-server: $schema=./docs/reference/secretbridge.schema.json
\`\`\`

## Where it is found

The first of these that applies:

1. \`--config PATH\`, once or several times: files or folders
2. the environment variable \`SECRETBRIDGE_CONFIG\`: one or more paths, separated by colons
3. \`./secretbridge.yaml\`
4. the folder \`/etc/secretbridge/\`

- In a folder, every \`*.yaml\` and \`*.yml\` file is read in the order of the names. Subfolders and hidden entries are
  skipped, so a mounted ConfigMap works.
- A file that is named twice is read once.
- Several files or documents form one configuration. The lists \`formerInstances\`, \`include\`, \`stores\`, \`mappings\`
  and \`access\` are joined. Any other section may appear once. Two stores or two mappings with the same name are an error
  that names both positions.

## Rules for the files

YAML 1.2 in UTF-8, at most 4 MiB for each file. Anchors, aliases, merge keys (\`<<\`), tags, duplicate keys and unknown
keys are refused. An empty file makes the configuration invalid, because a writer may have emptied it before filling it.
Its mappings do not count as removed. A file with only a comment is not empty.

- **Names** of instances, stores and mappings: \`[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?\`. They become labels.
- **Durations**: \`500ms\`, \`30s\`, \`5m\`, \`24h\`, \`90d\`, also combined as in \`1h30m\`.
- **Paths** on this machine are relative to their file. \`~/\` is the home folder.
- **Patterns** in \`access\` and \`include\` match the whole text. \`*\` matches any characters between two \`/\`, and
  \`**\` any characters. Everything else matches itself, with its case.
- **Keys** have the form of their store: AWS names and ARNs, Azure names of letters, digits and \`-\`, paths elsewhere.
  \`validate\` reports others with the position.

## Access and tenants' files

Without \`access\`, every mapping may use every key. With it, each source of a mapping needs a rule that allows its
namespace, store and key together. Otherwise the mapping fails with \`NOT_ALLOWED\` before any read, and other mappings
continue.

\`include\` adds the files of tenants. They hold only \`mappings\` (and \`apiVersion\`). Any other section makes the
configuration invalid. Their mappings may use only what the limits of their \`include\` allow, and \`access\` too if it
exists. The \`defaults\` of the main file apply to them.

- Ambiguous keys are never allowed: keys with a \`.\`, \`..\` or empty segment, a backslash, or invisible characters. The
  same holds if these are percent-encoded (\`%2e\`, \`%2f\`, …) or in a compatibility form of Unicode.
- A \`find\` is allowed if a rule allows everything that it could find: below \`payments/\` by \`payments/**\`, not by
  \`payments/*\`. In Azure Key Vault, whose names have no \`/\`, \`payments-*\` allows \`path: payments-\`. Each found key
  is checked too.
- An ARN needs a pattern that begins with \`arn:\`, or \`**\`. \`payments/**\` allows the name \`payments/db\`, but not
  the ARN of that secret, and \`a*\` allows no ARN.
- Namespaces of a \`namespaceSelector\` are checked one by one when they are found.
- A file that \`--config\` names, directly or by its folder, cannot be included, because no limits apply there. Keep
  tenants' files in their own folder.

## Credentials

A file never contains a credential. A reference says where it is:

| reference | meaning |
| --- | --- |
| \`{ env: NAME }\` | an environment variable |
| \`{ file: PATH }\` | the content of a file, without one final newline |
| \`{ secretRef: { name: NAME, key: KEY } }\` | a key of a Secret in the bridge's own namespace, without one final newline. Outside of the cluster, the namespace of the kubeconfig's context |

\`validate\` reports text that looks like a credential in keys, labels, annotations, templates and addresses. It looks for
tokens and keys of known forms, passwords in addresses, and \`password: …\` with a literal. This stops \`validate\` (exit
code 3), but not the service. If the text is not a credential, add a comment on its line, or on a line of its own above:

\`\`\`text
annotations: { token: 7Hq2mZ0x-build }   # secretbridge:allow a build number
\`\`\``;

/** The example configuration of the page. A test loads it. */
export const EXAMPLE = readFileSync(join(import.meta.dirname, 'configuration-example.yaml'), 'utf8');
