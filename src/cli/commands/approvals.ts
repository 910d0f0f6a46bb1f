import type { Command } from 'commander';
import type { ApprovalStatus } from '../../service/approvals.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { command, nonEmpty, type Run, withServer } from '../options.ts';
import { safeText } from '../service/error.ts';
import { namedAddress, type ServerAddress, type ServerOptions } from '../service/server-address.ts';
import { printReport, printServiceResult } from '../sync-report.ts';
import { withHelp } from '../texts/help.ts';
import { print, table } from '../texts/output.ts';
import { timeText } from '../texts/record.ts';
import { requireConfig, withApp } from '../with-app.ts';

const SERVER =
  'send the request to the service at this address (default: the service at `http.listen` if it runs, else this process)';
const MAX_NOTE_LENGTH = 500;

type Options = GlobalOptions & ServerOptions;
type DecisionOptions = Options & { readonly note?: string };

/** Adds the commands `secretbridge approvals …`. */
export function addApprovals(program: Command, context: Context, run: Run): void {
  const approvals = withHelp(program.command('approvals'), {
    examples: ['secretbridge approvals list'],
    see: ['release', 'rollback', 'docs/how-to/approve-changes.md'],
  })
    .description('List, approve and reject actions that need a second person.')
    .helpCommand(false);
  const list = command(approvals, 'list', 'List the requests that wait for a second person.', {
    examples: ['secretbridge approvals list', 'secretbridge approvals list --all'],
    see: ['approvals approve', 'docs/how-to/approve-changes.md'],
  }).option('--all', 'also list requests that were decided or have expired');
  withServer(list, SERVER).action((options: Options & { readonly all?: boolean }) =>
    run(async () => listCommand(context, options)),
  );
  const approve = command(
    approvals,
    'approve',
    'Approve a request, and carry out its action. Your name is recorded. You cannot approve your own request.',
    {
      examples: ['secretbridge approvals approve 5f2c9a01d3e4'],
      see: ['approvals list', 'docs/how-to/approve-changes.md'],
    },
  );
  addDecision(approve).action((id: string, options: DecisionOptions) =>
    run(async () => decideCommand(context, 'approve', id, options)),
  );
  const reject = command(
    approvals,
    'reject',
    'Reject a request, or withdraw your own. Your name is recorded.',
    {
      examples: ["secretbridge approvals reject 5f2c9a01d3e4 --note 'still in use'"],
      see: ['approvals list', 'docs/how-to/approve-changes.md'],
    },
  );
  addDecision(reject).action((id: string, options: DecisionOptions) =>
    run(async () => decideCommand(context, 'reject', id, options)),
  );
}

function addDecision(decision: Command): Command {
  return withServer(
    decision
      .argument('<id>', 'id from `approvals list`', nonEmpty)
      .option('--note <text>', 'why, for the audit; do not include values'),
    SERVER,
  );
}

/** Prefers a running service, which knows the groups of people. */
async function addressOf(context: Context, options: Options): Promise<ServerAddress | 'local' | undefined> {
  if (options.server !== undefined) return namedAddress(options.server, options.allowHttp);
  const config = await requireConfig(context, options);
  if (config === undefined) return undefined;
  const { answeringAddress } = await import('../service/client.ts');
  return (await answeringAddress(config, options.allowHttp, context)) ?? 'local';
}

async function listCommand(context: Context, options: Options & { readonly all?: boolean }): Promise<number> {
  const address = await addressOf(context, options);
  if (address === undefined) return EXIT.config;
  const show = (approvals: readonly ApprovalStatus[]): number => {
    print(context, options.output, { data: { approvals }, human: () => listText(approvals) });
    return EXIT.ok;
  };
  if (address !== 'local') {
    const { createClient } = await import('../service/client.ts');
    const { approvalsThrough } = await import('../service/approval-requests.ts');
    await using client = createClient(address, context);
    return show(await approvalsThrough(client, options.all === true ? 'all' : 'open'));
  }
  return withApp(context, options, async (app) => {
    const { listApprovals, openApprovals } = await import('../../commands/approvals.ts');
    const all = await listApprovals(app);
    return show(options.all === true ? all : openApprovals(all));
  });
}

function listText(approvals: readonly ApprovalStatus[]): string {
  if (approvals.length === 0) return 'No request waits for a second person.';
  const rows = approvals.map(({ id, command, namespace, secret, state, requestedBy, until }) =>
    [id, `${namespace}/${secret}`, command, state, `by ${requestedBy}`, `until ${timeText(until)} UTC`].map(
      safeText,
    ),
  );
  return table(rows);
}

async function decideCommand(
  context: Context,
  verb: 'approve' | 'reject',
  id: string,
  options: DecisionOptions,
): Promise<number> {
  const { note, output } = options;
  if ((note?.length ?? 0) > MAX_NOTE_LENGTH)
    throw new UsageError(`--note can have at most ${MAX_NOTE_LENGTH} characters`);
  const address = await addressOf(context, options);
  if (address === undefined) return EXIT.config;
  const showRejected = (approval: ApprovalStatus): number => {
    print(context, output, { data: { approval }, human: () => safeText(`Rejected: ${approval.command}.`) });
    return EXIT.ok;
  };
  if (address === 'local')
    return withApp(context, options, async (app) => {
      const { approveLocally, rejectLocally } = await import('../../commands/run-approved.ts');
      const decision = { id, note, actor: { kind: 'cli', name: context.user } } as const;
      if (verb === 'reject') return showRejected(await rejectLocally(app, decision));
      return printReport(context, options, await approveLocally(app, decision, context.signal));
    });
  const { createClient } = await import('../service/client.ts');
  const { approveThrough, rejectThrough } = await import('../service/approval-requests.ts');
  await using client = createClient(address, context);
  if (verb === 'reject') return showRejected(await rejectThrough(client, id, note));
  return printServiceResult(context, options, await approveThrough(client, id, note));
}
