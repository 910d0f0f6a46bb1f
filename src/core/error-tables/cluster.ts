/** Errors that the cluster reports. */
export const CLUSTER = {
  NOT_OWNED: {
    group: 'cluster',
    category: 'fix-config',
    message: 'a Secret with this name exists and is not ours',
    remedy:
      'Choose another name, or set `onConflict: adopt` to take the Secret over. Run `secretbridge plan` first.',
  },
  TARGET_CLAIMED: {
    group: 'cluster',
    category: 'fix-config',
    message: 'another mapping or another instance owns this Secret',
    remedy: 'Remove one of the two mappings, or name the old instance in `formerInstances`.',
  },
  NAMESPACE_MISSING: {
    group: 'cluster',
    category: 'fix-config',
    message: 'the namespace does not exist or is being deleted',
    remedy: 'Create the namespace, or correct `target.namespace` of the mapping.',
  },
  SECRET_MISSING: {
    group: 'cluster',
    category: 'fix-config',
    message: 'the Secret to merge into does not exist yet',
    remedy: 'Let its owner create the Secret, or use `mode: own`.',
  },
  CLUSTER_FORBIDDEN: {
    group: 'cluster',
    category: 'fix-access',
    message: 'the API server does not allow this operation',
    remedy: 'Apply the output of `secretbridge rbac` to the cluster.',
  },
  CLUSTER_REFUSED: {
    group: 'cluster',
    category: 'fix-access',
    message: 'the API server rejected the object because of a quota, an admission policy or validation',
    remedy:
      'Check the quota and the admission policies of the namespace. Run `kubectl create secret generic NAME --namespace NAMESPACE --dry-run=server` to see what the admission policies report.',
  },
  CLUSTER_UNAVAILABLE: {
    group: 'cluster',
    category: 'retry',
    message: 'the cluster is unreachable or not working',
    remedy: 'No action needed. If the error persists, check `cluster`, the kubeconfig and the network.',
  },
  CONFLICT: {
    group: 'cluster',
    category: 'retry',
    message: 'something else changed the object at the same time',
    remedy: 'No action needed. If the error persists, find out which other program writes this Secret.',
  },
  IMMUTABLE: {
    group: 'cluster',
    category: 'fix-config',
    message: 'the change requires deleting and recreating the Secret',
    remedy: 'Set `target.recreate: true` to allow it, or keep the type and data unchanged.',
  },
  CONTESTED: {
    group: 'cluster',
    category: 'fix-config',
    message: 'something else keeps overwriting this Secret after each repair',
    remedy:
      'Find the other writer with `kubectl get secret -o yaml --show-managed-fields`, and stop one of the two.',
  },
  DRIFTED: {
    group: 'cluster',
    category: 'fix-config',
    message: 'the Secret was changed or deleted by hand, and `onDrift: report` leaves it unchanged',
    remedy: 'Undo the change, run `secretbridge sync` to undo it, or change the source instead.',
  },
  WORKLOAD_MISSING: {
    group: 'cluster',
    category: 'fix-config',
    message: 'the workload to restart does not exist',
    remedy: 'Correct `restart` of the mapping, or create the workload.',
  },
  ROLLOUT_STUCK: {
    group: 'cluster',
    category: 'fix-config',
    message:
      'the workload was restarted, but its pods are not being replaced, so some may still use the old content',
    remedy:
      'Run `kubectl describe` for the workload and its newest pod to see why. Resume a paused workload with `kubectl rollout resume`, or promote a Rollout with `kubectl argo rollouts promote`. If another tool removed the annotation of secretbridge, run `kubectl rollout restart`.',
  },
} as const;
