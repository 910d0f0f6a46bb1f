/** What a help says beside the description, the options and the examples of a command. */
export interface Notes {
  /** A second paragraph. */
  readonly more?: string;
  /** What the exit code says, where somebody may build on it. */
  readonly exits?: readonly (readonly [code: number, meaning: string])[];
  /** Commands, and pages of the documentation. */
  readonly see?: readonly string[];
}

const INVALID = [3, 'the configuration is invalid'] as const;
const RETRY = [1, 'something failed that may mend itself: run it again'] as const;
const PERSON = [4, 'a person must act: something was refused, is held, or cannot mend itself'] as const;

/** Of the program itself. */
export const EXAMPLES: readonly string[] = [
  'secretbridge validate --config secretbridge.yaml',
  'secretbridge plan',
  'secretbridge sync',
];

/** By the path of the command; the program itself has none. */
export const NOTES: Readonly<Record<string, Notes>> = {
  '': {
    more: '`secretbridge help COMMAND` says more of each. No command prints a value of a secret.',
    see: ['docs/tutorials/first-sync.md', 'docs/reference/cli.md'],
  },
  init: {
    more: 'On a terminal it asks for what no option says. Beside the configuration it writes the JSON Schema of the format, by which editors complete and check. A file that is there is never written over.',
    see: ['validate', 'doctor', 'plan', 'docs/reference/configuration.md'],
  },
  validate: {
    exits: [[0, 'the configuration is valid'], INVALID],
    see: ['doctor', 'config-schema', 'docs/reference/configuration.md'],
  },
  plan: {
    more: 'It reads the stores and the cluster, and writes to neither. A value is shown as (sensitive), with a fingerprint that tells whether two are the same.',
    exits: [[0, 'nothing would change'], [2, 'there are changes to make'], INVALID, RETRY, PERSON],
    see: ['sync', 'explain', 'docs/explanation/how-a-sync-works.md', 'docs/how-to/run-in-ci.md'],
  },
  sync: {
    exits: [[0, 'every target is in step'], INVALID, RETRY, PERSON],
    see: ['plan', 'serve', 'docs/how-to/run-in-ci.md'],
  },
  serve: {
    more: 'It watches its configuration, its stores and its targets. While it runs, `status` shows what it knows.',
    see: ['status', 'docs/how-to/run-the-service.md', 'docs/how-to/install-with-helm.md'],
  },
  status: {
    exits: [
      [0, 'all is in step and in order'],
      [3, 'the files of the service are invalid, and the last valid ones are in force'],
      RETRY,
      PERSON,
    ],
    see: ['explain', 'release', 'docs/how-to/watch-the-bridge.md'],
  },
  explain: {
    more: 'For each target: its state, the error and what to do about it, where each value comes from, and the last records of the audit.',
    exits: [[0, 'it is in step'], INVALID, RETRY, PERSON],
    see: ['status', 'audit list', 'docs/reference/errors.md'],
  },
  release: { see: ['status', 'plan', 'docs/how-to/respond-to-a-hold.md'] },
  prune: {
    exits: [
      [0, 'there is nothing to prune, or all of it is pruned'],
      [2, 'there are targets to delete: --yes deletes them, as far as brake allows'],
      INVALID,
      RETRY,
      PERSON,
    ],
    see: ['release', 'docs/how-to/remove-secrets.md'],
  },
  rollback: { see: ['unpin', 'audit list', 'explain'] },
  unpin: { see: ['rollback', 'explain'] },
  doctor: {
    exits: [[0, 'everything works'], INVALID, RETRY, PERSON],
    see: ['validate', 'rbac', 'docs/reference/errors.md'],
  },
  rbac: { see: ['doctor', 'docs/how-to/least-rbac.md'] },
  import: { see: ['docs/how-to/move-from-external-secrets.md'] },
  'import external-secrets': {
    more: 'It only reads. The report says of each object what became of it, and ends with the steps of a move in which no byte of a Secret changes.',
    exits: [
      [0, 'all is carried over'],
      [4, 'there is something for you to do: the report says what'],
    ],
    see: ['plan', 'docs/how-to/move-from-external-secrets.md'],
  },
  audit: { see: ['docs/how-to/read-the-audit.md', 'docs/explanation/the-audit.md'] },
  'audit list': { see: ['audit show', 'audit export', 'docs/how-to/read-the-audit.md'] },
  'audit show': { see: ['audit list', 'audit verify', 'docs/reference/audit-format.md'] },
  'audit review': { see: ['audit list', 'docs/how-to/review-the-audit.md'] },
  'audit verify': {
    exits: [
      [0, 'no record was altered'],
      RETRY,
      [4, 'a record was altered, or what proves it cannot be read'],
    ],
    see: ['audit accept', 'docs/how-to/checkpoints.md', 'docs/how-to/audit-truncated.md'],
  },
  'audit accept': { see: ['audit verify', 'docs/how-to/audit-truncated.md'] },
  'audit report': { see: ['audit list', 'docs/how-to/review-the-audit.md'] },
  'audit export': { see: ['audit verify', 'docs/how-to/export-the-audit.md'] },
  'audit migrate': { see: ['audit verify', 'docs/how-to/move-to-postgres.md'] },
  completion: {
    more: 'For bash, in ~/.bashrc: source <(secretbridge completion bash). For zsh, into a folder of $fpath, under the name _secretbridge. For fish, into ~/.config/fish/completions/secretbridge.fish.',
    see: ['docs/reference/cli.md'],
  },
  'config-schema': {
    more: 'An editor with the YAML language server uses it when the first line of a configuration is "# yaml-language-server: $schema=./secretbridge.schema.json". `init` writes both.',
    see: ['init', 'validate', 'docs/reference/cli.md'],
  },
  version: { see: ['docs/reference/cli.md'] },
};
