/** Further help texts of a command, besides its description, options and examples. */
export interface Notes {
  /** The second paragraph of the description. */
  readonly more?: string;
  /** The exit codes that scripts can rely on. */
  readonly exits?: readonly (readonly [code: number, meaning: string])[];
  /** Related commands and documentation pages. */
  readonly see?: readonly string[];
}

const INVALID_CONFIG = [3, 'the configuration is invalid'] as const;
const RETRYABLE = [1, 'a temporary failure: run it again'] as const;
const NEEDS_PERSON = [4, 'a person must act: something was refused, is held, or failed permanently'] as const;

/** The examples for the program as a whole. */
export const EXAMPLES: readonly string[] = [
  'secretbridge validate --config secretbridge.yaml',
  'secretbridge plan',
  'secretbridge sync',
];

/** Notes by command path, such as `audit list`. The path of the program itself is empty. */
export const NOTES: Readonly<Record<string, Notes>> = {
  '': {
    more: '`secretbridge help COMMAND` describes a command. No command prints secret values.',
    see: ['docs/tutorials/first-sync.md', 'docs/reference/cli.md'],
  },
  init: {
    more: 'On a terminal it asks for every answer that no option gives. It also writes the JSON Schema of the configuration, which editors use to complete and check it. Existing files are never overwritten.',
    see: ['validate', 'doctor', 'plan', 'docs/reference/configuration.md'],
  },
  validate: {
    exits: [[0, 'the configuration is valid'], INVALID_CONFIG],
    see: ['doctor', 'config-schema', 'docs/reference/configuration.md'],
  },
  plan: {
    more: 'It reads the stores and the cluster, and writes to neither. Values are shown as (sensitive) with a fingerprint; equal values have equal fingerprints.',
    exits: [
      [0, 'nothing would change'],
      [2, 'there are changes to apply'],
      INVALID_CONFIG,
      RETRYABLE,
      NEEDS_PERSON,
    ],
    see: ['sync', 'explain', 'docs/explanation/how-it-works.md', 'docs/how-to/run-in-ci.md'],
  },
  sync: {
    exits: [[0, 'every target is in sync'], INVALID_CONFIG, RETRYABLE, NEEDS_PERSON],
    see: ['plan', 'serve', 'docs/how-to/run-in-ci.md'],
  },
  serve: {
    more: 'It watches its configuration, stores and targets. `status` shows the state of the running service.',
    see: ['status', 'docs/how-to/run-the-service.md', 'docs/how-to/install-with-helm.md'],
  },
  status: {
    exits: [
      [0, 'all targets are in sync and all parts work'],
      [3, 'the configuration files are invalid, and the last valid configuration is active'],
      RETRYABLE,
      NEEDS_PERSON,
    ],
    see: ['explain', 'release', 'docs/how-to/watch-the-bridge.md'],
  },
  explain: {
    more: 'For each target it shows the state, the error with its remedy, the sources and the last audit records.',
    exits: [[0, 'the mapping is in sync'], INVALID_CONFIG, RETRYABLE, NEEDS_PERSON],
    see: ['status', 'audit list', 'docs/reference/errors.md'],
  },
  'explain-error': {
    more: 'It needs neither a configuration nor network access. Error messages name the code.',
    exits: [
      [0, 'the code was explained'],
      [64, 'there is no such code; similar codes are suggested'],
    ],
    see: ['explain', 'doctor', 'docs/reference/errors.md'],
  },
  release: { see: ['status', 'plan', 'docs/how-to/troubleshooting.md'] },
  prune: {
    exits: [
      [0, 'there is nothing to delete, or everything was deleted'],
      [2, 'there are targets to delete; --yes deletes them, within the limits of brake'],
      INVALID_CONFIG,
      RETRYABLE,
      NEEDS_PERSON,
    ],
    see: ['release', 'docs/how-to/remove-secrets.md'],
  },
  rollback: { see: ['unpin', 'audit list', 'explain'] },
  unpin: { see: ['rollback', 'explain'] },
  doctor: {
    exits: [[0, 'all checks passed'], INVALID_CONFIG, RETRYABLE, NEEDS_PERSON],
    see: ['validate', 'rbac', 'docs/reference/errors.md'],
  },
  rbac: { see: ['doctor', 'docs/how-to/least-rbac.md'] },
  import: { see: ['docs/how-to/move-from-external-secrets.md'] },
  'import external-secrets': {
    more: 'It only reads. The report shows the result for each object, and the steps of a migration that changes no byte of a Secret.',
    exits: [
      [0, 'everything was carried over'],
      [4, 'the report contains tasks for a person'],
    ],
    see: ['plan', 'docs/how-to/move-from-external-secrets.md'],
  },
  audit: { see: ['docs/how-to/review-the-audit.md', 'docs/explanation/the-audit.md'] },
  'audit list': { see: ['audit show', 'audit export', 'docs/how-to/review-the-audit.md'] },
  'audit show': { see: ['audit list', 'audit verify', 'docs/reference/audit-format.md'] },
  'audit review': { see: ['audit list', 'docs/how-to/review-the-audit.md'] },
  'audit verify': {
    exits: [
      [0, 'no record was altered'],
      RETRYABLE,
      [4, 'a record was altered, or its checkpoints cannot be read'],
    ],
    see: ['audit accept', 'docs/how-to/verify-the-audit.md'],
  },
  'audit accept': { see: ['audit verify', 'docs/how-to/verify-the-audit.md'] },
  'audit report': { see: ['audit list', 'docs/how-to/review-the-audit.md'] },
  'audit export': { see: ['audit verify', 'docs/how-to/review-the-audit.md'] },
  'audit migrate': { see: ['audit verify', 'docs/how-to/keep-the-audit.md'] },
  completion: {
    more: 'bash: add `source <(secretbridge completion bash)` to ~/.bashrc. zsh: save the script as _secretbridge in a folder of $fpath. fish: save it as ~/.config/fish/completions/secretbridge.fish.',
    see: ['docs/reference/cli.md'],
  },
  'config-schema': {
    more: 'Editors with the YAML language server use the schema if the first line of a configuration is "# yaml-language-server: $schema=./secretbridge.schema.json". `init` writes both.',
    see: ['init', 'validate', 'docs/reference/cli.md'],
  },
  version: { see: ['docs/reference/cli.md'] },
};
