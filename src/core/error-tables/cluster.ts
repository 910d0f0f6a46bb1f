import type { ErrorKind } from './kind.ts';

/** What the cluster answered, or why it did not. */
export const CLUSTER = {
  NOT_OWNED: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'a Secret of this name exists and is not ours',
    todo: 'Choose another name, or take it over with `onConflict: adopt` (see `plan` first).',
  },
  TARGET_CLAIMED: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'another mapping or another instance owns this Secret',
    todo: 'Let one of the two go, or name the old instance in `formerInstances`.',
  },
  NAMESPACE_MISSING: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'the namespace does not exist or is being deleted',
    todo: "Create the namespace, or correct the mapping's `target.namespace`.",
  },
  SECRET_MISSING: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'there is no Secret to merge into yet',
    todo: 'Create the Secret with its owner, or use `mode: own`.',
  },
  CLUSTER_FORBIDDEN: {
    group: 'cluster',
    remedy: 'fix-access',
    says: 'the API server does not allow us to do this',
    todo: 'Apply the output of `secretbridge rbac` to the cluster.',
  },
  CLUSTER_REFUSED: {
    group: 'cluster',
    remedy: 'fix-access',
    says: 'the API server refused the object by quota, admission or validation',
    todo: 'Look at the quota and the admission policies of the namespace; `kubectl create secret generic NAME --namespace NAMESPACE --dry-run=server` shows what they say.',
  },
  CLUSTER_UNAVAILABLE: {
    group: 'cluster',
    remedy: 'retry',
    says: 'the cluster could not be reached or is not in working order',
    todo: 'Nothing at once; if it goes on, check `cluster`, the kubeconfig and the network.',
  },
  CONFLICT: {
    group: 'cluster',
    remedy: 'retry',
    says: 'somebody else changed it at the same time',
    todo: 'Nothing at once; if it goes on, find out who else writes this Secret.',
  },
  IMMUTABLE: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'the change needs the Secret to be deleted and created anew',
    todo: 'Allow that with `target.recreate: true`, or keep type and data as they are.',
  },
  CONTESTED: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'somebody else changes it as often as we repair it',
    todo: 'Find who writes it (`kubectl get secret -o yaml --show-managed-fields`) and let one of the two go.',
  },
  DRIFTED: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'somebody changed or deleted it by hand, and `onDrift: report` leaves it so',
    todo: 'Undo the change, let `secretbridge sync` undo it, or put it into the source.',
  },
  WORKLOAD_MISSING: {
    group: 'cluster',
    remedy: 'fix-config',
    says: 'there is no such workload to restart',
    todo: "Correct the mapping's `restart`, or create the workload.",
  },
} as const satisfies Record<string, ErrorKind>;
