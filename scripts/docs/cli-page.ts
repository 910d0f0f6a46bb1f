import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { buildProgram, runCli } from '../../src/cli/cli.ts';
import type { Context } from '../../src/cli/context.ts';
import { systemClock } from '../../src/core/clock.ts';

/** Returns `docs/reference/cli.md`: the output of `--help`, and facts that are too long for a help text. */
export async function cliPage(): Promise<string> {
  const sections: string[] = [];
  for (const path of await commandPaths()) {
    const help = await helpOf(path);
    sections.push(`### ${path.join(' ')}`, `\`\`\`text\n${help.trim()}\n\`\`\``);
  }
  return [
    '<!-- Generated from the help of src/cli/cli.ts by `npm run docs`. Change it there, or in scripts/docs/cli-page.ts. -->',
    '# Command line',
    BEFORE,
    '## Commands',
    ...sections,
    '',
  ].join('\n\n');
}

const visibleCommands = (command: Command) => command.createHelp().visibleCommands(command);

/** Returns the paths of the commands that have no subcommands, in the order of the help. */
export async function commandPaths(): Promise<readonly (readonly string[])[]> {
  const walk = (command: Command, path: readonly string[]): readonly (readonly string[])[] =>
    command.commands.length === 0
      ? [path]
      : visibleCommands(command).flatMap((child) => walk(child, [...path, child.name()]));
  return walk(await buildProgram(helpContext([]), async () => undefined), []);
}

async function helpOf(path: readonly string[]): Promise<string> {
  const written: string[] = [];
  await runCli([...path, '--help'], helpContext(written));
  // The folder of the pages is different on every machine.
  return written
    .join('')
    .replace(/^ {2}The pages are in .*\n/m, '')
    .replaceAll(/[ \t]+$/gm, '');
}

/** Returns a fake process context. It appends the help output to `written`. */
export function helpContext(written: string[]): Context {
  const sink = new Writable({
    write(chunk, _, done) {
      written.push(String(chunk));
      done();
    },
  });
  return {
    env: {},
    cwd: '/',
    stdout: sink,
    stderr: sink,
    interactive: false,
    width: 100,
    color: false,
    clock: systemClock,
    user: 'docs',
    signal: new AbortController().signal,
  };
}

const BEFORE = `The program is \`secretbridge\`. In a checkout, \`bin/secretbridge\` works in any folder and in pipes, and
downloads Node 24 if Node 24 is missing. The configuration comes from \`--config\`, or from a [default
place](configuration.md#where-it-is-found).

The output never holds a secret value. \`plan\` and \`sync\` show \`(sensitive)\` and a [keyed
fingerprint](../explanation/security.md#fingerprints) of each value.

## Output

- The result goes to standard output: text, or exactly one object with \`--output json\` or \`--output yaml\`.
- Progress, problems and logs go to standard error. On a terminal, progress is one line that is updated in place. If
  standard error is not a terminal, a progress line is printed at the first target, at the last target, and every five
  seconds.
- \`--log-level debug|info|warn|error\` turns on the log. \`log.format\` in the configuration chooses JSON or text.
- Long lines are wrapped at spaces if the output is a terminal, and otherwise not.
- An option may be given only once, unless the help of the option says that it can be repeated. Otherwise the exit code
  is 64 (wrong usage).
- Colors appear on a terminal only, and not if \`NO_COLOR\` is set or \`TERM\` is \`dumb\`.
- Ctrl-C or SIGTERM during \`sync\`: no further target begins, writes in progress are finished and recorded, and the
  exit code is 1. A second signal ends the process immediately.

## Help

\`secretbridge --help\` lists the commands by task. \`secretbridge help audit list\` and
\`secretbridge audit list --help\` both show the purpose, options, examples and exit codes of \`audit list\`.
\`secretbridge version\` shows the version and the platform. \`--config\`, \`--output\` and \`--log-level\` may come
before the command: \`secretbridge --config bridge.yaml plan\`.

## Completion

A shell can complete commands, options, listed values and files. \`secretbridge completion\` prints the script for this.
For zsh and fish, run the command in the table again after each update of secretbridge.

| shell | command |
| --- | --- |
| bash | \`source <(secretbridge completion bash)\` in \`~/.bashrc\` |
| zsh | \`secretbridge completion zsh > ~/.zfunc/_secretbridge\`, with \`~/.zfunc\` in \`fpath\` before \`compinit\` |
| fish | \`secretbridge completion fish > ~/.config/fish/completions/secretbridge.fish\` |

## Editors

\`secretbridge init\` writes the JSON Schema of the configuration as \`secretbridge.schema.json\` beside the
configuration. The first line of the configuration names the schema:

\`\`\`text
# yaml-language-server: $schema=./secretbridge.schema.json
\`\`\`

An editor with the YAML language server then completes and explains fields, and marks unknown fields. For VS Code, use
the YAML extension of Red Hat. For an existing configuration,
\`secretbridge config-schema --out secretbridge.schema.json\` writes the schema and replaces an older schema. Then add
the line that names the schema yourself. The schema requires no section, because several files may form one
configuration. \`secretbridge validate\` checks all files together.

## A running service

\`status\` asks the service at the address in \`--server\`. Without \`--server\`, \`status\` asks the service at
\`http.listen\` of the configuration. With \`sync --server\`, the service does the work, mapping by mapping.
\`rollback\`, \`unpin\` and \`prune\` with \`--server\` send the request to a service, and without \`--server\` they do
the work themselves. \`release\` and \`audit review\` send the request to the service at \`--server\` or, without
\`--server\`, to the service at \`http.listen\`. If no service answers at \`http.listen\`, \`release\` and
\`audit review\` do the work themselves.

- The bearer token is in the environment variable \`SECRETBRIDGE_TOKEN\`. The token is sent only to the address of the
  service. Redirects are not followed. Plain http is allowed only to loopback, or with \`--allow-http\`.
- For \`https\`, the usual certificate authorities and those in \`NODE_EXTRA_CA_CERTS\` are trusted. If the command
  reads the configuration of the service, the certificate in \`http.tls.certFile\` is trusted too, whatever host name
  the certificate contains.
- \`status\` exits with 0 if all targets are in sync and all parts work. Otherwise \`status\` exits with 1 or 4, see
  [exit codes](#exit-codes). While the files of the service are invalid and the last valid configuration is in force,
  \`status\` exits with 3.

## Exit codes

If several exit codes apply to a command, the one that comes first in this table is used.

| code | meaning |
| --- | --- |
| 64 | wrong usage: an unknown command or option, a wrong argument, or a Node that is too old |
| 3 | the configuration is invalid |
| 1 | a transient failure, or a stopped run: run it again |
| 4 | a person must act: something was refused or held, or failed for a reason that a repetition does not fix |
| 2 | only \`plan\`, and \`prune\` without \`--yes\`: there are changes to make |
| 0 | everything is in order |

[Errors](errors.md) lists the exit code for each error.

## JSON objects

Later versions may add fields, but never rename a field. Lists of targets are ordered by namespace, then by name. \`?\`
marks a field that may be missing.

| command | object |
| --- | --- |
| \`validate\` | \`{ valid, problems: [ { file, line, column, path, code, message, suggestion? } ], warnings?: [ { file, line, column, path, code, message } ] }\` |
| \`plan\` | \`{ changes, targets: [ { mapping, namespace, secret, action, code?, message?, remedy?, keys, how?, pinned? } ], held, warnings, kept?, waiting?, unseen? }\` |
| \`sync\` | \`{ ok, requestId, summary, targets: [ { mapping, namespace, secret, outcome, code?, message?, remedy?, keys, pinned? } ], held, warnings, waiting?, unseen?, unrestarted?, notRotated? }\` |
| \`sync --server\` | as \`sync\`. \`held\` contains all held changes of the service, or with \`--mapping\` the held changes of this mapping. \`pending\` counts the targets in progress. If several mappings are synced, \`requestId\` is the id of the request for the last mapping |
| \`status\` | \`{ instance, version, replica, engine: { kind, state, code? }, audit: { kind, state, sequence, code? }, cluster: { kind, state, code? }, config: { valid, problems, differing }, includes: [ { path, state, problems } ], warnings, stores: [ { name, kind, state, lastSuccess, code?, breakerOpen, way?, callsPerHour?, expectedCallsPerHour? } ], events: [ { name, kind, state, lastEvent?, code? } ], notify?: [ { name, kind, state, lastSuccess?, code? } ], targets: [ { mapping, namespace, secret, state, lastSuccess, staleSeconds, code?, message?, remedy?, pinned?, expiresAt? } ], held }\` |
| \`release\`, \`prune --yes\` | as \`sync\`, with the affected targets |
| \`prune\` | as \`plan\`, with the targets that no mapping wants. \`prune --yes\` deletes these targets, or holds their deletions if \`brake\` requires it |
| \`prune --yes --server\` | as \`sync --server\`, with \`waiting?\` and \`unseen?\` |
| \`explain\` | \`{ mapping, targets: [ { namespace, secret, state, code?, message?, remedy?, pinned?, sources: [ { store, key, property?, version?, state, code? } ], lastRecords } ], calls? }\` |
| \`init\` | \`{ path, schema?, instance, cluster, store, at, mount?, login?, key, namespace, secret }\` |
| \`version\` | \`{ version, node, platform, arch }\` |
| \`doctor\` | \`{ ok, checks: [ { name, ok, mapping?, namespace?, secret?, code?, message?, remedy? } ], warnings }\` |
| \`rbac\` | a \`List\` of Roles and RoleBindings for \`kubectl apply\` |
| \`audit list\` | \`{ records: [ … ], next? }\`; \`next\` is the \`--cursor\` of the next page. A reviewed record also has \`reviewed: { state, by?, time, note?, sequence }\`, which is not part of the hash |
| \`audit list --value\`, \`audit list --trace\` | as \`audit list\`, and \`versions: [ { store, key, version, fingerprint, firstRead } ], more\` |
| \`audit show\` | one record, see [audit format](audit-format.md), and \`counterpart?\`: the outcome of an intent or the intent of an outcome, and \`chain: { previous?, next?, head, fits }\` |
| \`audit review\` | \`{ records: [ … ] }\`: the reviewed records, as in \`audit list\` |
| \`audit verify\` | \`{ ok, covered, records, checkpoints, problem?: { kind, sequence, after?, unknownKey? }, from, sealed?: { sequence, time }, cutProved?, accepted, unchecked, missing? }\`, see [its fields](#fields-of-audit-verify) |
| \`audit verify --public-key\` | \`{ keyId, publicKey }\` |
| \`audit accept\` | \`{ accepted: true, audit, end, missing: [ { place, sequence, hash, time } ], record, time }\`; \`{ accepted: false }\` if no record is missing |
| \`audit migrate\` | \`{ ok: true, records, head, resumed }\`, where \`resumed\` means that an earlier move was continued; \`{ ok: false, reason }\` |
| \`audit report\` | \`{ since, until, records, changes: { total, byAction }, changed, refused, failed, held, released, firstRead, notRotated, commands, exports, configurationChanges, review: { unreviewed, reviewed, flagged }, flagged }\`; each list is \`{ total, items }\` with at most 50 items |
| \`audit export --out\` | \`{ format, records, file }\`; without \`--out\` the export itself, regardless of \`--output\` |

- \`action\` is \`create\`, \`update\`, \`delete\`, \`unchanged\`, \`refuse\`, \`hold\` or \`fail\`. \`changes\` is the
  number of targets whose \`action\` is \`create\`, \`update\` or \`delete\`.
- \`outcome\` is \`created\`, \`updated\`, \`deleted\`, \`unchanged\`, \`refused\`, \`held\` or \`failed\`. \`summary\`
  has the number of targets for each of these words.
- \`keys\` is \`[ { name, action, before?, after? } ]\` with the action \`add\`, \`change\`, \`remove\` or \`keep\`.
  \`before\` and \`after\` are fingerprints.
- \`held\` is \`[ { id, mapping, namespace, secret, action, keys, reason?, since? } ]\`: changes that wait until a
  person runs \`release\` with this \`id\`. \`reason\` says why, and \`since\` says when the change was first held.
- \`how\` describes a special \`update\` of \`plan\`: \`adopt\` takes over a Secret that is not ours. \`recreate\`
  deletes a Secret and creates it again. \`merge\` adds keys to somebody else's Secret.
- \`state\` of a target is \`synced\`, \`stale\`, \`failed\`, \`refused\`, \`held\`, \`pinned\`, \`waiting\`,
  \`contested\` or \`drifted\`.
- \`state\` of a source is \`found\`, \`absent\`, \`failed\` or \`unread\`. A mapping with a source that it may not read
  reads none of its sources. For a \`find\`, \`sources\` lists the sources that were found. If the search fails,
  \`sources\` has one entry for the search, whose \`key\` is the \`path\` of the \`find\`.
- \`lastRecords\` are the newest five audit records of the target. \`calls\` is there only with \`--calls\`, and has
  [the number of store calls](../explanation/cost-and-scale.md).
- \`pinned\` is the sequence of the record whose versions a target has. \`kept\` counts targets that left the
  configuration and stay because of \`onMappingRemoved: keep\`.
- \`lastSuccess\` and \`staleSeconds\` are \`null\` before the first success.
- \`code\`, \`message\` and \`remedy\` are there if a target is refused, held or failed. \`code\` is the [error
  code](errors.md), \`message\` is a sentence about the error, and \`remedy\` says what to do.
- \`config-schema\` prints the JSON Schema, and \`completion\` prints the script. Neither command has the option
  \`--output\`.
- \`warnings\` is \`[ { code, mapping?, namespace?, secret?, message } ]\`: what works, but needs attention, such as a
  \`find\` without results. Warnings affect neither the exit code nor \`ok\`.
- A command that cannot do its work prints \`{ error: { code, message, remedy } }\`. If the configuration is invalid,
  the command prints \`{ error: { code, message, problems } }\`. With exit code 64, standard output is empty.

### Fields that are left out if empty

| field | form | meaning |
| --- | --- | --- |
| \`waiting\` | \`[ { mapping, namespace, secret, until } ]\` | targets that left the configuration, and stay until the Secret that replaces them exists |
| \`unseen\` | \`[ { what, code } ]\` | targets that may have left the configuration, but could not be checked |
| \`unrestarted\` | \`[ { mapping, namespace, secret, workload, code, message, remedy } ]\` | workloads that could not be restarted after a change. The Secret is written all the same, but \`ok\` is \`false\` |
| \`notRotated\` | \`[ { mapping, store, key, since, days, maxDays } ]\` | sources that are older than \`maxAge\`. These sources affect neither the exit code nor \`ok\` |

### Fields of audit verify

| field | meaning |
| --- | --- |
| \`records\`, \`checkpoints\` | how many records and how many checkpoints were verified |
| \`from\` | the number of the first record in the store or export |
| \`sealed\` | the last record that a checkpoint covers |
| \`accepted\` | the number of checkpoints whose records are missing, and a person accepted this loss |
| \`unchecked\` | the number of checkpoints that no key could verify |
| \`missing\` | the configured locations that have no checkpoint |`;
