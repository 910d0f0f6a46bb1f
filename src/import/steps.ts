import type { Step } from './result.ts';
import type { SecretCopy } from './secret-refs.ts';

export interface StepInput {
  /** The bridge's own namespace. */
  readonly own: string;
  /** The file of the configuration, if it is one. */
  readonly out: string | undefined;
  readonly copies: readonly SecretCopy[];
  readonly merges: boolean;
  /** Whether somebody has to look at findings first. */
  readonly todo: boolean;
  /** Whether any store is carried over. */
  readonly isAny: boolean;
  /** Whether any mapping is. */
  readonly isInForce: boolean;
}

/**
 * The order of a move in which no byte changes and no pod restarts. Their controller must not run while Secrets
 * change hands: it would put its owner reference back, and the end of the owner would take the Secret along.
 */
export function stepsOf(input: StepInput): readonly Step[] {
  const { isAny, isInForce } = input;
  return [...toFinish(input), ...(isAny ? [toCheck(input)] : []), ...(isInForce ? toMove(input) : [])];
}

function toFinish({ own, copies, todo }: StepInput): readonly Step[] {
  return [
    ...(todo
      ? [
          {
            title: 'Finish the configuration',
            text: 'Do what the findings above say. Mappings that are not whole stand as comments at the end of the file.',
            commands: [],
          },
        ]
      : []),
    ...(copies.length === 0
      ? []
      : [
          {
            title: 'Give the bridge its credentials',
            text: 'It reads them in its own namespace only.',
            commands: copies.map(
              ({ namespace, name, as }) =>
                `kubectl -n ${namespace} get secret ${name} -o json | jq '{apiVersion, kind, type, data, metadata: {name: "${as}", namespace: "${own}"}}' | kubectl apply -f -`,
            ),
          },
        ]),
  ];
}

function toCheck({ out }: StepInput): Step {
  return {
    title: 'Check it',
    text: `Every store must be reached, every key read, every target writable.${out === undefined ? '' : ' Where the audit and the cluster have a file of their own, give it with one more `--config`.'}`,
    commands: [ours(out, 'validate'), `${ours(out, 'rbac')} | kubectl apply -f -`, ours(out, 'doctor')],
  };
}

function toMove({ out, merges }: StepInput): readonly Step[] {
  return [
    {
      title: 'Stop the present controller',
      text: 'While it runs, it takes its Secrets back. Nothing is lost meanwhile: Secrets stay as they are. To move a few objects while it runs for others, set `refreshPolicy: CreatedOnce`, `creationPolicy: Orphan` and `deletionPolicy: Retain` on those, and wait until their Secrets have no owner reference.',
      commands: ['kubectl -n external-secrets scale deployment external-secrets --replicas=0'],
    },
    {
      title: 'See that no byte would change',
      text: 'Each target is to be adopted, and each of its keys marked `=`. Anything else is a difference: read the findings of that object again.',
      commands: [ours(out, 'plan')],
    },
    {
      title: 'Take over',
      text: 'One write per Secret: our labels on, the owner reference off, the data as it was. No workload is restarted by it.',
      commands: [ours(out, 'sync'), ours(out, 'plan')],
    },
    ...(merges
      ? [
          {
            title: 'Let go of keys that are merged',
            text: 'The API server still holds their controller for a writer of these keys, so that a new value would be a conflict. Drop its entries from each Secret that is merged into.',
            commands: [
              `kubectl -n NAMESPACE get secret NAME -o json --show-managed-fields | jq '.metadata.managedFields |= map(select(.manager | startswith("externalsecrets.external-secrets.io") | not))' | kubectl replace -f -`,
            ],
          },
        ]
      : []),
    {
      title: 'Remove their objects',
      text: 'The finalizer goes first, because the controller that would take it off is stopped. Their labels go too, so that no later controller takes the Secrets for orphans of its own. ClusterExternalSecrets go before what they made.',
      commands: [
        `kubectl -n NAMESPACE patch externalsecret NAME --type=merge -p '{"metadata":{"finalizers":null}}'`,
        'kubectl -n NAMESPACE delete externalsecret NAME',
        'kubectl -n NAMESPACE label secret NAME reconcile.external-secrets.io/created-by- reconcile.external-secrets.io/managed-',
      ],
    },
    {
      title: 'Start the service',
      text: 'From now on it keeps the Secrets in step. The present controller may be started again for what was not carried over, or removed. Then take `onConflict` out of the mappings.',
      commands: [ours(out, 'serve')],
    },
  ];
}

function ours(out: string | undefined, command: string): string {
  if (out === undefined) return `secretbridge ${command}`;
  const word = /^[\w./-]+$/.test(out) ? out : `'${out.replaceAll("'", `'\\''`)}'`;
  return `secretbridge ${command} --config ${word}`;
}
