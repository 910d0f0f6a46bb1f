import { Command, CommanderError, Option } from 'commander';
import { toAppError } from '../core/errors.ts';
import type { Context, GlobalOptions } from './context.ts';
import { withEarlyOptions } from './early-options.ts';
import { EXIT, exitCodeOf } from './exit.ts';
import { NoRoomError } from './file-error.ts';
import { keepHeapSmall } from './heap.ts';
import { CLUSTER_KINDS, LOGINS, STORE_KINDS } from './init/choices.ts';
import type { ServerOptions } from './service/server-address.ts';
import { addAudit } from './table/audit.ts';
import { command, filled, outputOption, type Run, refuseRepeated, withServer } from './table/command-line.ts';
import { addImport } from './table/import.ts';
import { addPins } from './table/pin.ts';
import { addProgram } from './table/program.ts';
import { COMMON, dressHelp, example, helpFormat, helpWidth } from './texts/help.ts';
import { EXAMPLES } from './texts/help-notes.ts';
import { printError, tell } from './texts/output.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

/** Runs one command line and gives its exit code. Each command's code is loaded only when it is called. */
export async function runCli(args: readonly string[], context: Context): Promise<number> {
  let code: number = EXIT.ok;
  let output: GlobalOptions['output'] = 'human';
  const program = buildProgram(context, async (command) => {
    code = await command();
  });
  program.hook('preAction', (_, action) => {
    output = action.optsWithGlobals<GlobalOptions>().output;
  });
  try {
    await program.parseAsync([...withEarlyOptions(args, program)], { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (args.includes('--dry-run')) tell(context, '`secretbridge plan` shows what `sync` would change.');
      return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    if (thrown instanceof UsageError) {
      tell(context, `error: ${thrown.message}`);
      return EXIT.usage;
    }
    if (thrown instanceof NoRoomError) {
      tell(context, `error: ${thrown.message}`);
      return EXIT.retry;
    }
    const error = toAppError(thrown);
    printError(context, output, error);
    return exitCodeOf(error);
  }
}

/** What commander says of arguments that are too many, and of unknown options, without them: they may be values. */
function withoutArguments(text: string): string {
  return text
    .replace(/(Expected \d+ arguments? but got \d+): .*/s, '$1.\n')
    .replace(/^(error: unknown option '--[^'=]*)=.*'$/ms, "$1'");
}

/** The commands and their options; each action is handed to `run`. */
export function buildProgram(context: Context, run: Run): Command {
  const program = new Command('secretbridge')
    .description(
      'Keeps Kubernetes Secrets in step with HashiCorp Vault/OpenBao, AWS Secrets Manager and Azure Key Vault, and records every read, write and refusal.',
    )
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpOption(new Option('-h, --help', 'show this help').helpGroup(COMMON))
    .helpCommand(false)
    .configureHelp(helpFormat())
    .showHelpAfterError('(see --help)')
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(withoutArguments(text)),
      getOutHelpWidth: () => helpWidth(context.width),
      getErrHelpWidth: () => helpWidth(context.width),
      getOutHasColors: () => context.color,
      getErrHasColors: () => context.color && context.interactive,
    })
    .exitOverride();

  addInit(program, context, run);
  addValidate(program, context, run);
  addPlan(program, context, run);
  addSync(program, context, run);
  addServe(program, context, run);
  addStatus(program, context, run);
  addRelease(program, context, run);
  addPrune(program, context, run);
  addPins(program, context, run);
  addExplain(program, context, run);
  addDoctor(program, context, run);
  addRbac(program, context, run);
  addImport(program, context, run);
  addAudit(program, context, run);
  addProgram(program, context, run);
  program.addHelpText('after', example(EXAMPLES));
  dressHelp(program);
  refuseRepeated(program);
  return program;
}

function addInit(program: Command, context: Context, run: Run): void {
  program
    .command('init')
    .description('Write a first, commented configuration from a few answers.')
    .option('--instance <name>', 'name of this installation')
    .addOption(new Option('--cluster <kind>', 'where Secrets are written').choices(CLUSTER_KINDS))
    .addOption(new Option('--store <kind>', 'kind of store').choices(STORE_KINDS))
    .option('--at <place>', 'address, folder, region or URL of the store')
    .option('--mount <name>', 'of Vault: where its key/value engine is mounted')
    .addOption(new Option('--login <method>', 'of Vault: how to log in').choices(LOGINS))
    .option('--key <key>', 'key of a first secret')
    .option('--namespace <name>', 'namespace of its Secret')
    .option('--secret <name>', 'name of its Secret')
    .option('--out <path>', 'file to write', 'secretbridge.yaml')
    .option('--no-schema', 'write no JSON Schema beside it')
    .addOption(outputOption())
    .addHelpText(
      'after',
      example([
        'secretbridge init',
        'secretbridge init --store files --at ./secrets --key app.txt --cluster directory',
      ]),
    )
    .action((options) => run(async () => (await import('./commands/init.ts')).initCommand(context, options)));
}

function addValidate(program: Command, context: Context, run: Run): void {
  command(program, 'validate', 'Check the configuration and name every problem with its place.', [
    'secretbridge validate --config secretbridge.yaml',
  ]).action((options: GlobalOptions) =>
    run(async () => (await import('./commands/validate.ts')).validateCommand(context, options)),
  );
}

function addPlan(program: Command, context: Context, run: Run): void {
  command(program, 'plan', 'Show what sync would change, key by key, and change nothing.', [
    'secretbridge plan --mapping payments-db',
    'secretbridge plan --adopt',
  ])
    .option('-m, --mapping <name>', 'only this mapping', filled)
    .option('-a, --all', 'show targets that are in step, too')
    .option('--adopt', 'as if each mapping might take over what is there: `onConflict: adoptAndDropOwner`')
    .action((options: GlobalOptions & { mapping?: string; all?: boolean; adopt?: boolean }) =>
      run(async () => (await import('./commands/plan.ts')).planCommand(context, options)),
    );
}

function addSync(program: Command, context: Context, run: Run): void {
  const sync = command(
    program,
    'sync',
    'Bring every target into step, once; here, or by a running service.',
    [
      'secretbridge sync',
      'secretbridge sync --mapping payments-db',
      'secretbridge sync --server https://secretbridge.internal:8080',
    ],
  ).option('-m, --mapping <name>', 'only this mapping', filled);
  withServer(sync, 'let the service at this address do it').action(
    (options: GlobalOptions & ServerOptions & { mapping?: string }) =>
      run(async () => (await import('./commands/sync.ts')).syncCommand(context, options)),
  );
}

function addServe(program: Command, context: Context, run: Run): void {
  command(
    program,
    'serve',
    'Keep every target in step until SIGTERM or Ctrl-C; SIGHUP reads the configuration anew.',
    ['secretbridge serve --config /etc/secretbridge/'],
  )
    .option('--grace <duration>', 'at the end, longest time for what is being written', '25s')
    .action((options: GlobalOptions & { grace: string }) =>
      run(async () => {
        const { durationOption } = await import('./duration-option.ts');
        const graceMs = durationOption('--grace', options.grace);
        keepHeapSmall();
        return (await import('./commands/serve.ts')).serveCommand(context, { ...options, graceMs });
      }),
    );
}

function addStatus(program: Command, context: Context, run: Run): void {
  const status = command(
    program,
    'status',
    'Show what a running service knows: its parts, stores and targets.',
    ['secretbridge status', 'secretbridge status --server https://secretbridge.internal:8080 --output json'],
  ).option('-a, --all', 'name targets that are in step, too');
  withServer(status, 'address of the service; else `http.listen` of the configuration').action(
    (options: GlobalOptions & ServerOptions & { all?: boolean }) =>
      run(async () => (await import('./commands/status.ts')).statusCommand(context, options)),
  );
}

function addRelease(program: Command, context: Context, run: Run): void {
  const release = command(program, 'release', 'Let a held deletion happen. It is on record who did.', [
    'secretbridge release 5f2c9a01d3e4',
  ]).argument('<id>', 'as `plan`, `sync` and `status` show it', filled);
  withServer(
    release,
    'let the service at this address do it; else the one at `http.listen` of the configuration if it answers, else here',
  ).action((id: string, options: GlobalOptions & ServerOptions) =>
    run(async () => (await import('./commands/release.ts')).releaseCommand(context, id, options)),
  );
}

function addPrune(program: Command, context: Context, run: Run): void {
  const prune = command(
    program,
    'prune',
    'List the targets that no mapping wants any more; with --yes delete them.',
    ['secretbridge prune', 'secretbridge prune --yes'],
  ).option('-y, --yes', 'delete them');
  withServer(prune, 'let the service at this address do it').action(
    (options: GlobalOptions & ServerOptions & { yes?: boolean }) =>
      run(async () => (await import('./commands/prune.ts')).pruneCommand(context, options)),
  );
}

function addExplain(program: Command, context: Context, run: Run): void {
  command(program, 'explain', 'Say why a mapping is in the state it is in.', [
    'secretbridge explain payments-db',
  ])
    .argument('<mapping>', 'its name')
    .option('--calls', 'also show how many requests an hour its stores are asked')
    .action((mapping: string, options: GlobalOptions & { calls?: boolean }) =>
      run(async () =>
        (await import('./commands/explain.ts')).explainCommand(context, { ...options, mapping }),
      ),
    );
}

function addDoctor(program: Command, context: Context, run: Run): void {
  command(
    program,
    'doctor',
    'Try each store, key and target for real, and say what to do about what does not work.',
    ['secretbridge doctor'],
  ).action((options: GlobalOptions) =>
    run(async () => (await import('./commands/doctor.ts')).doctorCommand(context, options)),
  );
}

function addRbac(program: Command, context: Context, run: Run): void {
  command(program, 'rbac', 'Print the least Roles and RoleBindings for this configuration.', [
    'secretbridge rbac --service-account secretbridge/secretbridge | kubectl apply -f -',
  ])
    .option('--service-account <namespace/name>', 'who gets the rights', 'secretbridge/secretbridge')
    .action((options: GlobalOptions & { serviceAccount: string }) =>
      run(async () => (await import('./commands/rbac.ts')).rbacCommand(context, options)),
    );
}
