import type { PlannedTarget } from '../../commands/planned-targets.ts';
import { isErrorCode } from '../../core/error-codes.ts';
import { AppError } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { exitCode } from '../errors.ts';
import type { Held, PlanAnswer } from '../service/answers.ts';
import { parseServiceError, safeText } from '../service/error.ts';
import { printErrorHint } from '../texts/output.ts';
import { printPlan } from './plan.ts';

/** A plan that a service made for one namespace, with the changes that it holds there. */
export interface NamespacePlan {
  readonly plan: PlanAnswer;
  readonly held: readonly Held[];
  /** Whether a ConfigMap of the namespace is not in force. */
  readonly isBroken: boolean;
}

/** Prints a plan as `plan` does, and returns its exit code. */
export function printNamespacePlan(
  context: Context,
  options: GlobalOptions,
  { plan, held, isBroken }: NamespacePlan,
): number {
  const targets = plan.targets.map(toPlanned);
  const changes = printPlan(context, options, { targets, held: held.map(toHeld) });
  printErrorHint(
    context,
    options.output,
    targets.map(({ error }) => error?.code),
  );
  const failing = targets.filter(({ action }) => action === 'fail');
  const isRefused = targets.some(({ action }) => action === 'refuse' || action === 'hold');
  return exitCode(
    failing.flatMap(({ error }) => error?.code ?? []),
    { person: isRefused || isBroken || held.length > 0, changes: changes > 0 },
  );
}

type Answered = PlanAnswer['targets'][number];

function toPlanned({
  mapping,
  namespace,
  secret,
  action,
  how,
  keys,
  pinned,
  ...why
}: Answered): PlannedTarget {
  const error = errorIn(why);
  return {
    mapping: safeText(mapping),
    target: { namespace: safeText(namespace), secret: safeText(secret) },
    action,
    ...(how === undefined ? {} : { how }),
    ...(error === undefined ? {} : { error }),
    keys: keys.map(toKey),
    alive: true,
    ...(pinned === undefined ? {} : { pinned }),
  };
}

function toKey({ name, action, before, after }: Answered['keys'][number]): PlannedTarget['keys'][number] {
  return {
    name: safeText(name),
    action,
    ...(before === undefined ? {} : { before: safeText(before) }),
    ...(after === undefined ? {} : { after: safeText(after) }),
  };
}

function toHeld({ id, mapping, namespace, secret, keys, reason, since }: Held) {
  const names = { mapping: safeText(mapping), namespace: safeText(namespace), secret: safeText(secret) };
  return {
    ...{ id: safeText(id), ...names, action: 'delete' as const },
    keys: keys.map(({ name, action }) => ({ name: safeText(name), action })),
    ...(reason === undefined ? {} : { reason }),
    ...(since === undefined ? {} : { since }),
  };
}

/** A newer service may use codes that this program does not know. */
function errorIn({ code, message = '', remedy }: Pick<Answered, 'code' | 'message' | 'remedy'>) {
  if (code === undefined) return undefined;
  const todo = remedy === undefined ? {} : { remedy: safeText(remedy) };
  return isErrorCode(code)
    ? parseServiceError(code, safeText(message), todo)
    : new AppError('INTERNAL', { detail: safeText(`${code}: ${message}`), ...todo });
}
