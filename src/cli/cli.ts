import { Command, CommanderError, Option } from 'commander';
import { toAppError } from '../core/errors.ts';
import { type Context, type GlobalOptions, VERSION } from './context.ts';
import { EXIT, exitCodeOf, OutOfSpaceError, UsageError } from './errors.ts';
import { countLeadingOptions, moveEarlyOptions, type Run, refuseRepeated } from './options.ts';
import { COMMON, decorateHelp, helpFormat, helpWidth, PROGRAM_HELP, withHelp } from './texts/help.ts';
import { printError, printNotice } from './texts/output.ts';

type AddCommand = (program: Command, context: Context, run: Run) => void;

/** The commands in the order of the help. The code of a command is loaded only when it is needed. */
const COMMANDS = {
  init: async () => (await import('./commands/init.ts')).addInit,
  validate: async () => (await import('./commands/checks.ts')).addValidate,
  plan: async () => (await import('./commands/plan.ts')).addPlan,
  sync: async () => (await import('./commands/sync.ts')).addSync,
  serve: async () => (await import('./commands/serve.ts')).addServe,
  status: async () => (await import('./commands/status.ts')).addStatus,
  release: async () => (await import('./commands/release.ts')).addRelease,
  prune: async () => (await import('./commands/prune.ts')).addPrune,
  rollback: async () => (await import('./commands/rollback.ts')).addRollback,
  unpin: async () => (await import('./commands/rollback.ts')).addUnpin,
  login: async () => (await import('./commands/login.ts')).addLogin,
  logout: async () => (await import('./commands/login.ts')).addLogout,
  whoami: async () => (await import('./commands/login.ts')).addWhoami,
  approvals: async () => (await import('./commands/approvals.ts')).addApprovals,
  explain: async () => (await import('./commands/explain.ts')).addExplain,
  doctor: async () => (await import('./commands/checks.ts')).addDoctor,
  rbac: async () => (await import('./commands/rbac.ts')).addRbac,
  import: async () => (await import('./commands/import.ts')).addImport,
  kubectl: async () => (await import('./commands/kubectl.ts')).addKubectl,
  audit: async () => (await import('./commands/audit.ts')).addAudit,
  'explain-error': async () => (await import('./commands/explain-error.ts')).addExplainError,
  completion: async () => (await import('./commands/completion.ts')).addCompletion,
  complete: async () => (await import('./commands/complete.ts')).addComplete,
  'config-schema': async () => (await import('./commands/config-schema.ts')).addConfigSchema,
  version: async () => (await import('./commands/program.ts')).addVersion,
  help: async () => (await import('./commands/program.ts')).addHelp,
} satisfies Readonly<Record<string, () => Promise<AddCommand>>>;

type CommandName = keyof typeof COMMANDS;

const ALL = Object.keys(COMMANDS) as CommandName[];

/**
 * Returns the commands that a command line needs. The help, the completion and the message for a wrong name need all
 * commands.
 */
function commandsFor(args: readonly string[]): readonly CommandName[] {
  const word = args[countLeadingOptions(args)];
  const name = ALL.find((candidate) => candidate === word);
  return name === undefined || name === 'help' || name === 'completion' ? ALL : [name];
}

/** Runs one command line and returns its exit code. */
export async function runCli(args: readonly string[], context: Context): Promise<number> {
  let code: number = EXIT.ok;
  let output: GlobalOptions['output'] = 'human';
  const program = await buildProgram(
    context,
    async (command) => {
      code = await command();
    },
    commandsFor(args),
  );
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
 * Removes the texts of arguments from commander's errors about excess arguments and unknown options, because such a
 * text can be a secret value.
 */
function redactArguments(text: string): string {
  return text
    .replace(/(Expected \d+ arguments? but got \d+): .*/s, '$1.\n')
    .replace(/^(error: unknown option '--[^'=]*)=.*'$/ms, "$1'");
}

/** Defines the given commands with their options, and passes the action of each command to `run`. */
export async function buildProgram(
  context: Context,
  run: Run,
  names: readonly CommandName[] = ALL,
): Promise<Command> {
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

  for (const name of names) (await COMMANDS[name]())(program, context, run);
  withHelp(program, PROGRAM_HELP);
  decorateHelp(program);
  refuseRepeated(program);
  return program;
}
