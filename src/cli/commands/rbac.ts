import { secretRefsOf } from '../../app/secret-refs.ts';
import { printRbac, rbacObjects } from '../../cluster/rbac.ts';
import type { RbacRestart } from '../../cluster/rbac-rules.ts';
import { workloadKind } from '../../cluster/workloads.ts';
import { createAccess } from '../../config/shape/access.ts';
import type { Mapping } from '../../core/mapping.ts';
import { rightsOf, targetsOf } from '../../reconcile/targets.ts';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { requireConfig } from '../require-config.ts';
import { print } from '../texts/output.ts';
import { UsageError } from '../usage-error.ts';

export async function rbacCommand(
  context: Context,
  options: GlobalOptions & { serviceAccount: string },
): Promise<number> {
  const [, namespace, name] =
    /^([a-z0-9][-a-z0-9]*)\/([a-z0-9][-.a-z0-9]*)$/.exec(options.serviceAccount) ?? [];
  if (namespace === undefined || name === undefined)
    throw new UsageError('--service-account must be NAMESPACE/NAME, for example secretbridge/secretbridge');
  const config = await requireConfig(context, options);
  if (config === undefined) return EXIT.config;
  if (config.cluster.kind !== 'kubernetes') {
    context.stderr.write('A directory cluster needs no Roles, only write access to its folder.\n');
    if (options.output !== 'human') print(context, options.output, { data: listOf([]), human: () => '' });
    return EXIT.ok;
  }
  const access = createAccess(config);
  const objects = rbacObjects({
    instance: config.instance,
    scope: config.cluster.scope,
    targets: targetsOf(config.mappings)
      .filter(({ id, mapping }) => access.allowsNamespace({ mapping: mapping.name, namespace: id.namespace }))
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
    checkpoints: config.audit.checkpoints.filter((place) => place.kind === 'configMap'),
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

function restartsOf({ restart }: Mapping): readonly RbacRestart[] {
  return restart.flatMap(({ kind, name }) => {
    const workload = workloadKind(kind);
    return workload === undefined ? [] : [{ kind: workload, name }];
  });
}

function listOf(items: readonly object[]): object {
  return { apiVersion: 'v1', kind: 'List', items };
}
