import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { buildProgram, runCli } from '../../src/cli/cli.ts';
import type { Context } from '../../src/cli/context.ts';
import { systemClock } from '../../src/core/clock.ts';

/** `docs/reference/cli.md`: what the program itself says with `--help`, and what no help text can hold. */
export async function cliPage(): Promise<string> {
  const sections: string[] = [];
  for (const path of commandPaths()) {
    const help = await helpOf(path);
    sections.push(`### ${path.join(' ')}`, `\`\`\`text\n${help.trim()}\n\`\`\``);
  }
  return [
    '<!-- Made from the help of src/cli/cli.ts by `npm run docs`. Change it there, or in scripts/docs/cli-page.ts. -->',
    '# Command line',
    BEFORE,
    '## Commands',
    ...sections,
    '',
  ].join('\n\n');
}

/** The commands that do something, in the order of the help. */
export function commandPaths(): readonly (readonly string[])[] {
  const walk = (command: Command, path: readonly string[]): readonly (readonly string[])[] =>
    command.commands.length === 0
      ? [path]
      : command.commands.flatMap((child) => walk(child, [...path, child.name()]));
  return walk(
    buildProgram(helpContext([]), async () => undefined),
    [],
  );
}

async function helpOf(path: readonly string[]): Promise<string> {
  const written: string[] = [];
  await runCli([...path, '--help'], helpContext(written));
  return written.join('').replaceAll(/[ \t]+$/gm, '');
}

/** A process that only listens. */
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

const BEFORE = `The program is \`secretbridge\`. In a checkout, \`npm run secretbridge -- plan\` runs it, and brings Node 24 if that is
not there. It reads its configuration from \`--config\`, else from the places that
[configuration](configuration.md#where-it-is-found) names.

Nothing that it prints holds a value: \`plan\` and \`sync\` show \`(sensitive)\` and, for each value, a
[keyed fingerprint](../explanation/security.md#fingerprints).

## Output

- The result goes to standard output: text for people, or with \`--output json\` or \`--output yaml\` exactly one object.
- Progress, problems and logs go to standard error. Progress is one line in place on a terminal; elsewhere a line
  at the first target, every five seconds, and at the last.
- \`--log-level debug|info|warn|error\` switches the log on; without it there is none. \`log.format\` in the configuration
  says whether a line is JSON or text.
- On a terminal, lines that are wider than it are broken at spaces; elsewhere, and in what other programs read, they
  are left as they are.
- An option may be given once, unless its help says several times: a second value would leave out the first, so it is wrong
  usage (64).
- Colours are used on a terminal only, and not if \`NO_COLOR\` is set or \`TERM\` is \`dumb\`.
- Ctrl-C or SIGTERM during \`sync\`: no further target is begun, what is being written is finished and recorded, the
  exit code is 1. A second one ends the process at once.

## Help

\`secretbridge --help\` lists the commands by what they are for. \`secretbridge help audit list\` and
\`secretbridge audit list --help\` are the same: what the command does, its own options, those that all commands have,
examples, and what its exit codes say. \`secretbridge version\` says what it runs on. \`--config\`, \`--output\` and
\`--log-level\` may stand before the command, too: \`secretbridge --config bridge.yaml plan\`.

## Completion

A shell completes commands, options, the values of options that have a list of them, and files where a path belongs.
The script comes from the program; make it again after an update.

| shell | once |
| --- | --- |
| bash | \`source <(secretbridge completion bash)\` in \`~/.bashrc\` |
| zsh | \`secretbridge completion zsh > ~/.zfunc/_secretbridge\`, with \`~/.zfunc\` in \`fpath\` before \`compinit\` |
| fish | \`secretbridge completion fish > ~/.config/fish/completions/secretbridge.fish\` |

## Editors

\`secretbridge init\` writes the JSON Schema of the format as \`secretbridge.schema.json\` beside the configuration, and
the first line of the configuration names it:

\`\`\`text
# yaml-language-server: $schema=./secretbridge.schema.json
\`\`\`

An editor with the YAML language server (for VS Code the extension of Red Hat; for Neovim, Helix and Emacs their language
clients) then completes fields, shows what each means, and marks what is unknown. For a configuration that is there already,
\`secretbridge config-schema --out secretbridge.schema.json\` writes it, also over that of an older version, and the line is
added by hand. No section is required in it, since several files make one configuration: \`secretbridge validate\` checks the
whole, and what no schema can say.

## A running service

\`status\` asks the service that runs: at \`--server\`, else at \`http.listen\` of the configuration. \`sync --server\` lets the
service do the work, mapping by mapping; \`rollback\`, \`unpin\` and \`prune\` go to \`--server\` as well, else they act here.
\`release\` and \`audit review\` go to \`--server\`, else to the service that answers at \`http.listen\`, else they act here.

- The bearer token is taken from the environment variable \`SECRETBRIDGE_TOKEN\`. It goes to that address only: redirects are
  not followed, and plain http is for loopback only, or with \`--allow-http\`.
- \`https\` trusts whom everybody trusts, and \`NODE_EXTRA_CA_CERTS\`. The server of the configuration is known by the
  certificate in \`http.tls.certFile\` itself, whatever name that is for.
- \`status\` ends with 0 when all is in step and in order, with 1 or 4 as below otherwise, and with 3 while the files of the
  service are invalid and the last valid ones are in force.

## Exit codes

Of several that apply, the first in this order counts.

| code | meaning |
| --- | --- |
| 64 | wrong usage: an unknown command or option, or a wrong argument; also a Node that is too old |
| 3 | the configuration is invalid |
| 1 | a failure that may mend itself, or a run that was stopped: run it again |
| 4 | a person must act: something was refused or held, or failed for a reason that no repetition mends |
| 2 | \`plan\` and \`prune\` without \`--yes\` only: there are changes to make |
| 0 | everything is as it should be |

Which code belongs to which error is in [errors](errors.md).

## JSON objects

Fields may be added in later versions; none is renamed. Lists of targets are ordered by namespace, then by name.
\`?\` marks a field that may be missing.

| command | object |
| --- | --- |
| \`validate\` | \`{ valid, problems: [ { file, line, column, path, code, message, suggestion? } ] }\` |
| \`plan\` | \`{ changes, targets: [ { mapping, namespace, secret, action, code?, message?, remedy?, keys, how?, pinned? } ], held, kept?, waiting?, unseen? }\` |
| \`sync\` | \`{ ok, requestId, summary, targets: [ { mapping, namespace, secret, outcome, code?, message?, remedy?, keys, pinned? } ], held, waiting?, unseen?, unrestarted?, notRotated? }\` |
| \`sync --server\` | the same, with all that the service holds (of \`--mapping\`, what it holds of that one), and \`pending\`: how many targets the service still works on; of several mappings, \`requestId\` is that of the last |
| \`status\` | \`{ instance, version, replica, engine: { kind, state, code? }, audit: { kind, state, sequence, code? }, cluster: { kind, state, code? }, config: { valid, problems, differing }, stores: [ { name, kind, state, lastSuccess, code?, breakerOpen, way?, callsPerHour?, expectedCallsPerHour? } ], events: [ { name, kind, state, lastEvent?, code? } ], targets: [ { mapping, namespace, secret, state, lastSuccess, staleSeconds, code?, message?, remedy?, pinned? } ], held }\` |
| \`release\`, \`prune --yes\` | as \`sync\`, with the targets that it was about |
| \`prune\` | as \`plan\`: what no mapping wants; \`--yes\` deletes it, or holds it, as \`brake\` says |
| \`prune --yes --server\` | as \`sync --server\`, and \`waiting?\` and \`unseen?\` |
| \`explain\` | \`{ mapping, targets: [ { namespace, secret, state, code?, message?, remedy?, pinned?, sources: [ { store, key, property?, version?, state, code? } ], lastRecords } ], calls? }\` |
| \`init\` | \`{ path, schema?, instance, cluster, store, at, mount?, login?, key, namespace, secret }\` |
| \`version\` | \`{ version, node, platform, arch }\` |
| \`doctor\` | \`{ ok, checks: [ { name, ok, code?, message?, remedy? } ] }\` |
| \`rbac\` | a \`List\` of Roles and RoleBindings, as \`kubectl\` takes it |
| \`audit list\` | \`{ records: [ … ], next? }\`; \`next\` is the \`--cursor\` of the next page. A record that somebody has reviewed also has \`reviewed: { state, by?, time, note?, sequence }\`, which is no part of what is hashed |
| \`audit list --value\`, \`--trace\` | the same, and \`versions: [ { store, key, version, fingerprint, firstRead } ], more\` |
| \`audit show\` | one record, see [audit format](audit-format.md), and \`counterpart?\`: the outcome of an intent or the intent of an outcome, and \`chain: { previous?, next?, head, fits }\` |
| \`audit review\` | \`{ records: [ … ] }\`: what was reviewed, as \`audit list\` has it |
| \`audit verify\` | \`{ ok, records, checkpoints, problem?: { kind, sequence, after?, unknownKey? }, from, sealed?: { sequence, time }, cutProved?, accepted, unchecked, missing? }\`: \`records\` and \`checkpoints\` that were found good, \`from\` the first record that is there, \`sealed\` the last one that a checkpoint covers, \`accepted\` checkpoints that a person does without, \`unchecked\` those without a key to check them by, \`missing\` places of the configuration that hold none |
| \`audit verify --public-key\` | \`{ keyId, publicKey }\` |
| \`audit accept\` | \`{ accepted: true, audit, end, missing: [ { place, sequence, hash, time } ], record, time }\`; \`{ accepted: false }\` when there is nothing to accept |
| \`audit migrate\` | \`{ ok: true, records, head, resumed }\`, \`resumed\` when an earlier move was gone on with; \`{ ok: false, reason }\` |
| \`audit report\` | \`{ since, until, records, changes: { total, byAction }, changed, refused, failed, held, released, firstRead, notRotated, commands, exports, configurationChanges, review: { unreviewed, reviewed, flagged }, flagged }\`; each list is \`{ total, items }\` with at most 50 items |
| \`audit export --out\` | \`{ format, records, file }\`; without \`--out\` the export itself, whatever \`--output\` says |

- \`action\` is \`create\`, \`update\`, \`delete\`, \`unchanged\`, \`refuse\`, \`hold\` or \`fail\`; \`changes\` counts the first three.
- \`outcome\`, and each number of \`summary\`, is \`created\`, \`updated\`, \`deleted\`, \`unchanged\`, \`refused\`, \`held\` or
  \`failed\`.
- \`keys\` is \`[ { name, action, before?, after? } ]\` with the action \`add\`, \`change\`, \`remove\` or \`keep\`; \`before\` and
  \`after\` are fingerprints.
- \`held\` is \`[ { id, mapping, namespace, secret, action, keys } ]\`: changes that wait for \`release\` with this \`id\`.
- \`waiting\` is \`[ { mapping, namespace, secret, until } ]\`: targets that left the configuration, and stay until their mapping has
  made another one. \`unseen\` is \`[ { what, code } ]\`: what may have left it, and could not be looked at. \`unrestarted\` is
  \`[ { mapping, namespace, secret, workload, code } ]\`: workloads that were to be restarted because that Secret changed, and could
  not be, which the exit code goes by, but for \`WORKLOAD_MISSING\`, and \`ok\` does not. \`notRotated\` is
  \`[ { mapping, store, key, since, days, maxDays } ]\`: sources that are older than \`maxAge\`, which neither of the two goes by. Each
  is left out where there is none.
- \`how\` is there where an \`update\` of \`plan\` is more than that: \`adopt\` takes over a Secret that is not ours,
  \`recreate\` deletes and makes it anew, \`merge\` puts keys into one of others.
- \`state\` of a target is \`synced\`, \`stale\`, \`failed\`, \`refused\`, \`held\`, \`pinned\`, \`waiting\`, \`contested\` or \`drifted\`; of a
  source \`found\`, \`absent\`, \`failed\` or, where the mapping may not have all that it names, \`unread\`. Of a \`find\`, the sources are
  what it finds; one that failed has its \`path\` as the key. \`lastRecords\` are the newest five of the audit, and \`calls\`, with
  \`--calls\`, is [what its stores are asked](../explanation/cost.md).
- \`pinned\` is the sequence of the record to whose versions a target was rolled back. \`kept\` counts what left the configuration and
  stays, since its mapping said \`onMappingRemoved: keep\`.
- \`lastSuccess\` of a store or a target, and \`staleSeconds\`, are \`null\` where there was none yet.
- \`config-schema\` prints the JSON Schema, and \`completion\` the script, whatever comes: they know no \`--output\`.
- \`code\`, \`message\` and \`remedy\` are there when a target is refused, held or failed: the [error](errors.md), the sentence
  about it, and what to do.
- A command that cannot do its work at all prints \`{ error: { code, message, remedy } }\`, or
  \`{ error: { code, message, problems } }\` when its configuration is invalid. With exit code 64 there is nothing on standard output.`;
