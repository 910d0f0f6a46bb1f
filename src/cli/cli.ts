import { Command, CommanderError, Option } from 'commander';
import { toAppError } from '../core/errors.ts';
import type { Context, GlobalOptions } from './context.ts';
import { addAudit } from './definitions/audit.ts';
import { addImport } from './definitions/import.ts';
import {
  command,
  nonEmpty,
  outputOption,
  type Run,
  refuseRepeated,
  withServer,
} from './definitions/options.ts';
import { addProgram } from './definitions/program.ts';
import { addPins } from './definitions/rollback.ts';
import { moveEarlyOptions } from './early-options.ts';
import { EXIT, exitCodeOf } from './exit.ts';
import { OutOfSpaceError } from './file-error.ts';
import { keepHeapSmall } from './heap.ts';
import { CLUSTER_KINDS, LOGINS, STORE_KINDS } from './init/choices.ts';
import type { ServerOptions } from './service/server-address.ts';
import { COMMON, decorateHelp, example, helpFormat, helpWidth } from './texts/help.ts';
import { EXAMPLES } from './texts/help-notes.ts';
import { printError, printNotice } from './texts/output.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

/** Runs one command line and returns its exit code. The code of a command is loaded only when the command runs. */
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
    await program.parseAsync([...moveEarlyOptions(args, program)], { from: 'user' });
    return code;
  } catch (thrown) {
    if (thrown instanceof CommanderError) {
      if (args.includes('--dry-run'))
        printNotice(context, '`secretbridge plan` shows what `sync` would change.');
      return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
    }
    if (thrown instanceof UsageError) {
      printNotice(context, `error: ${thrown.message}`);
      return EXIT.usage;
    }
    if (thrown instanceof OutOfSpaceError) {
      printNotice(context, `error: ${thrown.message}`);
      return EXIT.retry;
    }
    const error = toAppError(thrown);
    printError(context, output, error);
    return exitCodeOf(error);
  }
}

/**
 * Removes argument texts from commander's errors about excess arguments and unknown options, because they can be secret
 * values.
 */
function redactArguments(text: string): string {
  return text
    .replace(/(Expected \d+ arguments? but got \d+): .*/s, '$1.\n')
    .replace(/^(error: unknown option '--[^'=]*)=.*'$/ms, "$1'");
}

/** Defines all commands and options. Each action is passed to `run`. */
export function buildProgram(context: Context, run: Run): Command {
  const program = new Command('secretbridge')
    .description(
      'Syncs secrets from HashiCorp Vault/OpenBao, AWS Secrets Manager and Azure Key Vault to Kubernetes Secrets, and records every read, write and refusal.',
    )
    .version(VERSION, '-V, --version', 'print the version')
    .addHelpOption(new Option('-h, --help', 'show this help').helpGroup(COMMON))
    .helpCommand(false)
    .configureHelp(helpFormat())
    .showHelpAfterError('(see --help)')
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(redactArguments(text)),
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
  decorateHelp(program);
  refuseRepeated(program);
  return program;
}

function addInit(program: Command, context: Context, run: Run): void {
  program
    .command('init')
    .description('Create a commented configuration from a few answers.')
    .option('--instance <name>', 'name of this installation')
    .addOption(new Option('--cluster <kind>', 'where Secrets are written').choices(CLUSTER_KINDS))
    .addOption(new Option('--store <kind>', 'kind of store').choices(STORE_KINDS))
    .option('--at <place>', 'address, folder, region or URL of the store')
    .option('--mount <name>', 'Vault: mount of the key/value engine')
    .addOption(new Option('--login <method>', 'Vault: login method').choices(LOGINS))
    .option('--key <key>', 'key of a first secret in the store')
    .option('--namespace <name>', 'namespace of the Secret')
    .option('--secret <name>', 'name of the Secret')
    .option('--out <path>', 'file to write', 'secretbridge.yaml')
    .option('--no-schema', 'do not write a JSON Schema next to it')
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
  command(program, 'validate', 'Check the configuration and list every problem with its location.', [
    'secretbridge validate --config secretbridge.yaml',
  ]).action((options: GlobalOptions) =>
    run(async () => (await import('./commands/validate.ts')).validateCommand(context, options)),
  );
}

function addPlan(program: Command, context: Context, run: Run): void {
  command(program, 'plan', 'Show what sync would change, key by key, without changing anything.', [
    'secretbridge plan --mapping payments-db',
    'secretbridge plan --adopt',
  ])
    .option('-m, --mapping <name>', 'only this mapping', nonEmpty)
    .option('-a, --all', 'also show targets that are in sync')
    .option('--adopt', 'show the plan with `onConflict: adoptAndDropOwner` for every mapping')
    .action((options: GlobalOptions & { mapping?: string; all?: boolean; adopt?: boolean }) =>
      run(async () => (await import('./commands/plan.ts')).planCommand(context, options)),
    );
}

function addSync(program: Command, context: Context, run: Run): void {
  const sync = command(program, 'sync', 'Sync every target once.', [
    'secretbridge sync',
    'secretbridge sync --mapping payments-db',
    'secretbridge sync --server https://secretbridge.internal:8080',
  ]).option('-m, --mapping <name>', 'only this mapping', nonEmpty);
  withServer(sync, 'send the request to the service at this address').action(
    (options: GlobalOptions & ServerOptions & { mapping?: string }) =>
      run(async () => (await import('./commands/sync.ts')).syncCommand(context, options)),
  );
}

function addServe(program: Command, context: Context, run: Run): void {
  command(
    program,
    'serve',
    'Run the service: keep every target in sync until SIGTERM or Ctrl-C. SIGHUP reloads the configuration.',
    ['secretbridge serve --config /etc/secretbridge/'],
  )
    .option('--grace <duration>', 'longest time to finish running writes on shutdown', '25s')
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
    'Show the state of a running service: its parts, stores and targets.',
    ['secretbridge status', 'secretbridge status --server https://secretbridge.internal:8080 --output json'],
  ).option('-a, --all', 'also list targets that are in sync');
  withServer(status, 'address of the service (default: `http.listen` in the configuration)').action(
    (options: GlobalOptions & ServerOptions & { all?: boolean }) =>
      run(async () => (await import('./commands/status.ts')).statusCommand(context, options)),
  );
}

function addRelease(program: Command, context: Context, run: Run): void {
  const release = command(program, 'release', 'Approve a held deletion. Your name is recorded.', [
    'secretbridge release 5f2c9a01d3e4',
  ]).argument('<id>', 'id from `plan`, `sync` or `status`', nonEmpty);
  withServer(
    release,
    'send the request to the service at this address (default: the service at `http.listen` if it runs, else this process)',
  ).action((id: string, options: GlobalOptions & ServerOptions) =>
    run(async () => (await import('./commands/release.ts')).releaseCommand(context, id, options)),
  );
}

function addPrune(program: Command, context: Context, run: Run): void {
  const prune = command(
    program,
    'prune',
    'List orphaned targets, which no mapping uses any more, or delete them with --yes.',
    ['secretbridge prune', 'secretbridge prune --yes'],
  ).option('-y, --yes', 'delete them');
  withServer(prune, 'send the request to the service at this address').action(
    (options: GlobalOptions & ServerOptions & { yes?: boolean }) =>
      run(async () => (await import('./commands/prune.ts')).pruneCommand(context, options)),
  );
}

function addExplain(program: Command, context: Context, run: Run): void {
  command(program, 'explain', 'Explain the state of a mapping: its targets, sources and last records.', [
    'secretbridge explain payments-db',
  ])
    .argument('<mapping>', 'name of the mapping')
    .option('--calls', 'also show the requests per hour to its stores')
    .action((mapping: string, options: GlobalOptions & { calls?: boolean }) =>
      run(async () =>
        (await import('./commands/explain.ts')).explainCommand(context, { ...options, mapping }),
      ),
    );
}

function addDoctor(program: Command, context: Context, run: Run): void {
  command(program, 'doctor', 'Test each store, key and target, and suggest a fix for each problem.', [
    'secretbridge doctor',
  ]).action((options: GlobalOptions) =>
    run(async () => (await import('./commands/doctor.ts')).doctorCommand(context, options)),
  );
}

function addRbac(program: Command, context: Context, run: Run): void {
  command(program, 'rbac', 'Print the minimal Roles and RoleBindings for this configuration.', [
    'secretbridge rbac --service-account secretbridge/secretbridge | kubectl apply -f -',
  ])
    .option(
      '--service-account <namespace/name>',
      'service account that gets the permissions',
      'secretbridge/secretbridge',
    )
    .action((options: GlobalOptions & { serviceAccount: string }) =>
      run(async () => (await import('./commands/rbac.ts')).rbacCommand(context, options)),
    );
}
