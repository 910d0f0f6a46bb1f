import { type Workloads, workloadKind } from '../cluster/workloads.ts';
import { AppError, toAppError } from '../core/errors.ts';
import type { Workload } from '../core/mapping.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import { formatWorkload } from '../sync/restart.ts';

/**
 * Returns a function that returns a warning for each workload that a target would restart and that cannot be found.
 * The workloads may be installed after the Secret, so this is no failure. Each workload is looked up once.
 */
export function createWorkloadWarnings(
  workloads: Workloads | undefined,
  signal?: AbortSignal,
): (target: DesiredTarget) => Promise<readonly AppError[]> {
  if (workloads === undefined) return async () => [];
  const call = signal === undefined ? {} : { signal };
  const warnings = new Map<string, Promise<AppError | undefined>>();
  return async ({ mapping, id: { namespace } }) => {
    const found = mapping.restart.map((workload) => {
      const name = JSON.stringify([namespace, formatWorkload(workload)]);
      const warning = warnings.get(name) ?? lookUp(workload, namespace, workloads, call);
      warnings.set(name, warning);
      return warning;
    });
    return (await Promise.all(found)).filter((warning) => warning !== undefined);
  };
}

async function lookUp(
  workload: Workload,
  namespace: string,
  workloads: Workloads,
  call: { readonly signal?: AbortSignal },
): Promise<AppError | undefined> {
  const subject = `${formatWorkload(workload)} in ${namespace}`;
  const kind = workloadKind(workload.kind);
  const { name, selector } = workload;
  try {
    const isThere =
      kind !== undefined &&
      (name === undefined
        ? (await workloads.list(kind, namespace, selector ?? {}, call)).length > 0
        : (await workloads.read({ kind, namespace, name }, call)) !== undefined);
    return isThere ? undefined : new AppError('WORKLOAD_MISSING', { subject });
  } catch (thrown) {
    const { code, detail } = toAppError(thrown);
    return new AppError(code, { subject, ...(detail === undefined ? {} : { detail }) });
  }
}
