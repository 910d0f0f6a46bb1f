import type { Command } from 'commander';
import type { RbacTeams } from '../../cluster/rbac.ts';
import type { RbacRestart } from '../../cluster/rbac-rules.ts';
import { includeError } from '../../commands/includes.ts';
import { brokenIncludes, type Config } from '../../config/config.ts';
import { isNamed } from '../../config/files/config-maps.ts';
import { toPrintable } from '../../core/errors.ts';
import type { Mapping } from '../../core/mapping.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT, UsageError } from '../errors.ts';
import { command, type Run } from '../options.ts';
import { painter, print, printNotice } from '../texts/output.ts';
import { requireCompleteConfig } from '../with-app.ts';

export function addRbac(program: Command, context: Context, run: Run): void {
  command(program, 'rbac', 'Print the minimal Roles and RoleBindings for this configuration.', {
    examples: ['secretbridge rbac --service-account secretbridge/secretbridge | kubectl apply -f -'],
    see: ['doctor', 'docs/how-to/least-rbac.md'],
  })
    .option(
      '--service-account <namespace/name>',
      'service account that gets the permissions',
      'secretbridge/secretbridge',
    )
    .action((options: GlobalOptions & { serviceAccount: string }) =>
      run(async () => rbacCommand(context, options)),
    );
}

export async function rbacCommand(
  context: Context,
  options: GlobalOptions & { serviceAccount: string },
): Promise<number> {
  const [, namespace, name] =
    /^([a-z0-9][-a-z0-9]*)\/([a-z0-9][-.a-z0-9]*)$/.exec(options.serviceAccount) ?? [];
  if (namespace === undefined || name === undefined)
    throw new UsageError('--service-account must be NAMESPACE/NAME, for example secretbridge/secretbridge');
  const config = await requireCompleteConfig(context, options);
  if (config === undefined) return EXIT.config;
  if (config.cluster.kind !== 'kubernetes') {
    context.stderr.write('A directory cluster needs no Roles, only write access to its folder.\n');
    if (options.output !== 'human') print(context, options.output, { data: listOf([]), human: () => '' });
    return EXIT.ok;
  }
  warnAboutUnreadTeams(context, config);
  const { secretRefsOf } = await import('../../app/current-config.ts');
  const { printRbac, rbacObjects } = await import('../../cluster/rbac.ts');
  const { workloadKind } = await import('../../cluster/workloads.ts');
  const { createAccess } = await import('../../config/shape/access.ts');
  const { rightsOf, targetsOf } = await import('../../reconcile/targets.ts');
  const restartsOf = ({ restart }: Mapping): readonly RbacRestart[] =>
    restart.flatMap(({ kind, name: workload }) => {
      const known = workloadKind(kind);
      return known === undefined ? [] : [{ kind: known, name: workload }];
    });
  const access = createAccess(config);
  const objects = rbacObjects({
    instance: config.instance,
    scope: config.cluster.scope,
    targets: targetsOf(config.mappings)
      .filter(({ id, mapping }) => access.allowsNamespace({ mapping, namespace: id.namespace }))
      .map(({ id, mapping }) => ({ ...id, ...rightsOf(mapping), restarts: restartsOf(mapping) })),
    selected: config.mappings
      .filter(({ target }) => target.namespaceSelector !== undefined)
      .map((mapping) => ({
        secret: mapping.target.secret,
        ...rightsOf(mapping),
        restarts: restartsOf(mapping),
      })),
    ownNamespace: namespace,
    serviceAccount: name,
    secretRefs: secretRefsOf(config),
    checkpoints: config.audit.checkpoints.flatMap((place) =>
      place.kind === 'configMap' || place.kind === 'ownConfigMap' ? [{ ...place }] : [],
    ),
    teams: teamsOf(config),
    reviews: config.http?.kubernetes ?? false,
    // `serve` needs the `watch` permission; one-shot commands do not.
    watch: true,
  });
  print(context, options.output, {
    data: listOf(objects),
    human: () => printRbac(objects),
    verbatim: true,
  });
  return EXIT.ok;
}

/** Returns the namespaces of teams' ConfigMaps. A team may add a Secret there at any time. */
function teamsOf({ selectedConfigMaps = [] }: Config): RbacTeams {
  const found = (entries: typeof selectedConfigMaps) => {
    const globs = entries.flatMap(({ namespaces }) => namespaces);
    return { namespaces: globs.filter(isNamed), findsNamespaces: !globs.every(isNamed) };
  };
  const annotated = selectedConfigMaps.filter(({ statusAnnotation }) => statusAnnotation === true);
  return { ...found(selectedConfigMaps), annotated: found(annotated) };
}

/** The output has the rights to read the ConfigMaps, but not those that only their mappings show. */
function warnAboutUnreadTeams(context: Context, config: Config): void {
  for (const include of brokenIncludes(config)) {
    const { code } = includeError(include);
    if (!code.startsWith('CLUSTER_')) continue;
    const what = `${toPrintable(include.path)} cannot be read, so rights for its present mappings may be missing`;
    printNotice(context, `${painter(context.color)('yellow', 'warning')} ${code}: ${what}`);
  }
}

function listOf(items: readonly object[]): object {
  return { apiVersion: 'v1', kind: 'List', items };
}
