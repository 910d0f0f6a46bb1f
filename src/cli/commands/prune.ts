import type { PlannedTarget } from '../../app/plan.ts';
import { pruneLeft, showLeft } from '../../app/prune.ts';
import type { TargetId } from '../../core/target.ts';
import type { Waiting } from '../../reconcile/standing.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, type ExitCode } from '../exit.ts';
import { type Missed, printReport, printResult, unseenText, waitingText } from '../report.ts';
import type { LeftResult, PassedOver } from '../service/answers.ts';
import { createClient } from '../service/client.ts';
import { plain } from '../service/error.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { leftThrough, pruneThrough } from '../service/through-service.ts';
import { tell } from '../texts/output.ts';
import { withApp } from '../with-app.ts';
import { printPlan } from './plan.ts';

const NONE = 'Nothing to prune: every target of this instance is in the configuration.';
const UNSEEN = 'Nothing to prune among what could be looked at.';
const WAITING = 'Nothing to prune now: what is left waits for the target that its mapping wants instead.';

type Options = GlobalOptions & ServerOptions & { readonly yes?: boolean };

/** What is told of what left the configuration, and stays for now. */
interface Rest {
  readonly waiting: readonly Waiting[];
  readonly unseen: readonly Missed[];
}

export async function pruneCommand(context: Context, options: Options): Promise<number> {
  const { server, yes } = options;
  if (server !== undefined) return letService(server, context, options);
  return withApp(context, options, async (app) => {
    if (yes) return printReport(context, options, await pruneLeft(app));
    const left = await showLeft(app);
    return printLeft(
      context,
      options,
      left,
      '`secretbridge prune --yes` deletes them, as far as `brake` allows.',
    );
  });
}

async function letService(server: string, context: Context, options: Options): Promise<number> {
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  if (!options.yes) {
    const result = await leftThrough(client);
    const left = { targets: targetsOf(result), ...restOf(result) };
    return printLeft(
      context,
      options,
      left,
      'With `--yes` the service deletes them, as far as `brake` allows.',
    );
  }
  const result = await pruneThrough(client);
  tellRest(context, restOf(result));
  return printResult(context, options, result);
}

function printLeft(
  context: Context,
  options: GlobalOptions,
  { targets, ...rest }: Rest & { readonly targets: readonly PlannedTarget[] },
  how: string,
): ExitCode {
  tellRest(context, rest);
  const none = rest.waiting.length > 0 ? WAITING : rest.unseen.length > 0 ? UNSEEN : NONE;
  printPlan(context, options, { targets, held: [], ...rest }, { title: 'To prune', none });
  if (targets.length > 0) tell(context, `Nothing was deleted. ${how}`);
  return targets.length > 0 ? EXIT.changes : EXIT.ok;
}

function tellRest(context: Context, { waiting, unseen }: Rest): void {
  for (const it of unseen) tell(context, unseenText(it));
  for (const it of waiting) tell(context, waitingText(it));
}

function targetsOf({ targets }: LeftResult): readonly PlannedTarget[] {
  return targets.map(({ mapping, keys, ...id }) => ({
    mapping: plain(mapping),
    target: shown(id),
    action: 'delete',
    keys: keys.map(({ name, action, before, after }) => ({
      name: plain(name),
      action,
      ...(before === undefined ? {} : { before: plain(before) }),
      ...(after === undefined ? {} : { after: plain(after) }),
    })),
    alive: true,
  }));
}

function restOf({ waiting = [], unseen = [] }: PassedOver): Rest {
  return {
    waiting: waiting.map(({ mapping, until, ...id }) => ({
      mapping: plain(mapping),
      target: shown(id),
      until: shown(until),
      by: plain(mapping),
    })),
    unseen: unseen.map(({ what, code }) => ({ what: plain(what), error: { code: plain(code) } })),
  };
}

function shown({ namespace, secret }: TargetId): TargetId {
  return { namespace: plain(namespace), secret: plain(secret) };
}
