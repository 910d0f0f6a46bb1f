import type { Command } from 'commander';
import { z } from 'zod';
import { contextOf, loadKubeconfig } from '../../cluster/kubeconfig/kubeconfig.ts';
import { AppError } from '../../core/errors.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, exitCode, UsageError } from '../errors.ts';
import { nonEmpty, outputOption, positiveInteger, type Run, withServer } from '../options.ts';
import { type Held, PlanAnswer, StatusAnswer, type StatusTarget } from '../service/answers.ts';
import type { Client } from '../service/client.ts';
import { safeText } from '../service/error.ts';
import { namedAddress, type ServerOptions } from '../service/server-address.ts';
import { NEEDS_PERSON, RETRYABLE, withHelp } from '../texts/help.ts';
import { count, type Paint, print, printErrorHint, printNotice, table } from '../texts/output.ts';
import { listText } from '../texts/record.ts';
import { needsNoAction } from '../texts/status.ts';

type Options = GlobalOptions & ServerOptions & { readonly namespace?: string };

const SEE = ['docs/how-to/team-config-maps.md'];
const DEFAULT_RECORDS = 20;

/** Adds the commands of the kubectl plugin. They ask a running service about one namespace. */
export function addKubectl(program: Command, context: Context, run: Run): void {
  const kubectl = withHelp(program.command('kubectl'), {
    examples: ['kubectl secretbridge status --namespace shop'],
    see: SEE,
  })
    .description('Show a team what became of its mappings. `kubectl secretbridge` runs these commands.')
    .helpCommand(false);
  sub(kubectl, 'status', 'Show the ConfigMaps and Secrets of a namespace.').action((options: Options) =>
    run(async () => statusCommand(context, options)),
  );
  sub(kubectl, 'plan', 'Show what the service would change now, and what waits for a person.').action(
    (options: Options) => run(async () => planCommand(context, options)),
  );
  sub(kubectl, 'explain', 'Explain the state of a mapping, with its last records.')
    .argument('<mapping>', 'name of the mapping, as in the ConfigMap', nonEmpty)
    .action((mapping: string, options: Options) =>
      run(async () => explainCommand(context, { ...options, mapping })),
    );
  sub(kubectl, 'history', 'List the last audit records of a namespace.')
    .option('--limit <number>', 'number of records', positiveInteger, DEFAULT_RECORDS)
    .action((options: Options & { readonly limit: number }) =>
      run(async () => historyCommand(context, options)),
    );
}

function sub(kubectl: Command, name: string, description: string): Command {
  const example = `kubectl secretbridge ${name}${name === 'explain' ? ' payments-db' : ''} --namespace shop`;
  const added = withHelp(kubectl.command(name), {
    examples: [example],
    exits: [
      [0, name === 'plan' ? 'nothing would change' : 'everything is in sync'],
      ...(name === 'plan' ? [[2, 'there are changes to make'] as const] : []),
      RETRYABLE,
      NEEDS_PERSON,
    ],
    see: SEE,
  })
    .description(description)
    .option('-n, --namespace <name>', 'namespace (default: that of the current context)', nonEmpty)
    .addOption(outputOption());
  return withServer(added, 'address of the service (default: the variable SECRETBRIDGE_SERVER)');
}

/** What a service says about one namespace. */
interface NamespaceStatus {
  readonly includes: NonNullable<StatusAnswer['includes']>;
  readonly targets: readonly StatusTarget[];
  readonly held: readonly Held[];
  readonly warnings: NonNullable<StatusAnswer['warnings']>;
}

async function withService<T>(
  context: Context,
  options: Options,
  work: (client: Client, namespace: string) => Promise<T>,
): Promise<T> {
  const server = options.server ?? context.env.SECRETBRIDGE_SERVER;
  if (server === undefined || server === '')
    throw new UsageError('name the service with --server, or in the variable SECRETBRIDGE_SERVER');
  const { createClient } = await import('../service/client.ts');
  await using client = createClient(namedAddress(server, options.allowHttp), context);
  return await work(client, namespaceOf(context, options));
}

function namespaceOf({ env }: Context, { namespace }: Options): string {
  if (namespace !== undefined) return namespace;
  try {
    return contextOf(loadKubeconfig({ env }))?.namespace ?? 'default';
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new UsageError('name the namespace with --namespace, because there is no kubeconfig');
  }
}

async function statusOf(client: Client, namespace: string): Promise<NamespaceStatus> {
  const { includes = [], targets, held, warnings = [] } = await client.get('/api/v1/status', StatusAnswer);
  const isHere = (other: { readonly namespace?: string | undefined }) => other.namespace === namespace;
  const folder = `configmap:${namespace}`;
  return {
    includes: includes.filter(({ path }) => path === folder || path.startsWith(`${folder}/`)),
    targets: targets.filter(isHere),
    held: held.filter(isHere),
    warnings: warnings.filter(isHere),
  };
}

function statusCommand(context: Context, options: Options): Promise<number> {
  return withService(context, options, async (client, namespace) => {
    const status = await statusOf(client, namespace);
    print(context, options.output, {
      data: { namespace, ...status },
      human: (paint) => namespaceText(namespace, status, paint),
    });
    printErrorHint(
      context,
      options.output,
      status.targets.map(({ code }) => code),
    );
    return codeOf(status);
  });
}

function planCommand(context: Context, options: Options): Promise<number> {
  return withService(context, options, async (client, namespace) => {
    const [{ includes, held }, plan] = await Promise.all([
      statusOf(client, namespace),
      client.get(`/api/v1/plan?namespace=${encodeURIComponent(namespace)}`, PlanAnswer),
    ]);
    const broken = includes.filter(isBroken);
    for (const line of problemTexts(broken)) printNotice(context, line.trim());
    const { printNamespacePlan } = await import('./kubectl-plan.ts');
    return printNamespacePlan(context, options, { plan, held, isBroken: broken.length > 0 });
  });
}

const Mapping = z.looseObject({ mapping: z.string(), sources: z.array(z.unknown()).default([]) });
const Records = z.looseObject({
  records: z.array(z.looseObject({ sequence: z.number(), time: z.string(), action: z.string() })),
  next: z.string().optional(),
});
type ListedRecords = Parameters<typeof listText>[0];

function explainCommand(context: Context, options: Options & { readonly mapping: string }): Promise<number> {
  return withService(context, options, async (client, namespace) => {
    const status = await statusOf(client, namespace);
    const names = [`${namespace}.${options.mapping}`, options.mapping];
    const targets = status.targets.filter(({ mapping }) => names.includes(mapping));
    const name = targets[0]?.mapping ?? names[0] ?? '';
    const { sources } = await client.get(`/api/v1/mappings/${encodeURIComponent(name)}`, Mapping);
    const query = new URLSearchParams({ mapping: name, namespace, limit: '5' });
    const { records } = await client.get(`/api/v1/audit/records?${query.toString()}`, Records);
    print(context, options.output, {
      data: { mapping: name, targets, sources, lastRecords: records },
      human: (paint) =>
        [
          ...targets.map((target) => targetText(target, paint)),
          '',
          listText(records as unknown as ListedRecords, undefined, paint),
        ].join('\n'),
    });
    return codeOf({ ...status, targets, includes: [], held: [] });
  });
}

function historyCommand(context: Context, options: Options & { readonly limit: number }): Promise<number> {
  return withService(context, options, async (client, namespace) => {
    const query = new URLSearchParams({ namespace, limit: String(options.limit) });
    const { records } = await client.get(`/api/v1/audit/records?${query.toString()}`, Records);
    print(context, options.output, {
      data: { namespace, records },
      human: (paint) => listText(records as unknown as ListedRecords, undefined, paint),
    });
    return EXIT.ok;
  });
}

function isBroken({ state }: { readonly state: string }): boolean {
  return state !== 'valid';
}

function codeOf({ includes, targets, held }: NamespaceStatus): number {
  const failing = targets.filter((target) => !needsNoAction(target));
  return exitCode(
    failing.flatMap(({ code }) => code ?? []),
    { person: held.length > 0 || includes.some(isBroken) },
  );
}

function namespaceText(
  namespace: string,
  { includes, targets, held, warnings }: NamespaceStatus,
  paint: Paint,
) {
  const rows = includes.map(({ path, state, problems }) => [
    safeText(path.replace(/^configmap:[^/]*\/?/, '')) || '(all)',
    safeText(state),
    problems.length === 0 ? '' : count(problems.length, 'problem'),
  ]);
  return [
    ...(rows.length === 0 ? [] : [paint('bold', 'ConfigMaps'), table(rows), ...problemTexts(includes), '']),
    paint('bold', 'Secrets'),
    ...(targets.length === 0
      ? [`There is no mapping in the namespace ${safeText(namespace)}.`]
      : targets.map((target) => targetText(target, paint))),
    ...held.map(({ id, secret, action }) => `held: ${safeText(`${action} ${secret}, id ${id}`)}`),
    ...warnings.map(({ code, message }) => safeText(`warning ${code}: ${message}`)),
  ].join('\n');
}

const Problem = z.looseObject({
  line: z.number(),
  column: z.number(),
  code: z.string(),
  message: z.string(),
});

function problemTexts(includes: NamespaceStatus['includes']): readonly string[] {
  return includes.flatMap(({ problems }) =>
    problems.flatMap((problem) => {
      const { data } = Problem.safeParse(problem);
      return data === undefined
        ? []
        : [safeText(`  line ${data.line}, column ${data.column}: ${data.code}: ${data.message}`)];
    }),
  );
}

function targetText({ mapping, secret, state, code, message, remedy }: StatusTarget, paint: Paint): string {
  const style = state === 'synced' ? 'green' : 'yellow';
  const why = code === undefined ? [] : [`    ${code}: ${message ?? ''}`, `    ${remedy ?? ''}`];
  return [
    `${paint(style, safeText(state))}  ${safeText(secret)}  (${safeText(mapping)})`,
    ...why.map(safeText),
  ].join('\n');
}
