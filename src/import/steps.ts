import { isObject } from '../core/json.ts';
import type { Json } from './node.ts';
import type { SecretCopy } from './store.ts';

/** A step of the migration. */
export interface Step {
  readonly title: string;
  readonly text: string;
  readonly commands: readonly string[];
}

interface StepInput {
  /** The namespace in which secretbridge itself runs. */
  readonly own: string;
  /** The configuration file; `undefined` for standard output. */
  readonly out: string | undefined;
  readonly copies: readonly SecretCopy[];
  /** Whether there are findings that the user has to handle first. */
  readonly todo: boolean;
  /** Whether any store was converted. */
  readonly hasStores: boolean;
  /** The steps of the tool. `undefined` if no mapping was converted. */
  readonly tool: { readonly stop: Step; readonly remove: readonly Step[] } | undefined;
}

/**
 * Returns the steps of a migration that changes no bytes and restarts no pods. The other tool must not run while
 * secretbridge takes over the Secrets. Otherwise the tool could restore its owner reference on a Secret, and a later
 * deletion of the owner would delete the Secret.
 */
export function stepsOf(input: StepInput): readonly Step[] {
  const { hasStores, tool } = input;
  return [
    ...toFinish(input),
    ...(hasStores ? [toCheck(input)] : []),
    ...(tool === undefined ? [] : [tool.stop, ...toTakeOver(input), ...tool.remove, toStart(input)]),
  ];
}

function toFinish({ own, copies, todo }: StepInput): readonly Step[] {
  return [
    ...(todo
      ? [
          {
            title: 'Finish the configuration',
            text: 'Resolve the findings above. Incomplete mappings are comments at the end of the file.',
            commands: [],
          },
        ]
      : []),
    ...(copies.length === 0
      ? []
      : [
          {
            title: "Copy secretbridge's credentials",
            text: 'The bridge reads credentials only in its own namespace.',
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
    title: 'Check the configuration',
    text: `The check must reach every store, read every key and be allowed to write every target.${out === undefined ? '' : ' If the audit and the cluster are configured in another file, add it with a second `--config`.'}`,
    commands: [
      commandText(out, 'validate'),
      `${commandText(out, 'rbac')} | kubectl apply -f -`,
      commandText(out, 'doctor'),
    ],
  };
}

function toTakeOver({ out }: StepInput): readonly Step[] {
  return [
    {
      title: 'Check that no byte would change',
      text: 'The plan must adopt each target and mark each of its keys `=`. Anything else is a difference: read the findings of that object again.',
      commands: [commandText(out, 'plan')],
    },
    {
      title: 'Take over',
      text: 'This writes each Secret once: it adds our labels, removes the owner reference and keeps the data. No workload restarts.',
      commands: [commandText(out, 'sync'), commandText(out, 'plan')],
    },
  ];
}

function toStart({ out }: StepInput): Step {
  return {
    title: 'Start the service',
    text: 'The service now keeps the Secrets up to date. Start the other tool again only for objects that were not converted, or uninstall it. Then remove `onConflict` from the mappings.',
    commands: [commandText(out, 'serve')],
  };
}

/**
 * Returns the step that ends the tool's ownership of merged keys, if any mapping merges keys.
 * @param manager The start of the tool's names in `managedFields`.
 */
export function releaseSteps(mappings: readonly Json[], title: string, manager: string): readonly Step[] {
  if (!mappings.some(({ target }) => isObject(target) && target.mode === 'merge')) return [];
  return [
    {
      title: 'Release merged keys',
      text: `The API server still records ${title} as a manager of these keys, so a new value would be a conflict. Remove its entries from each Secret that is merged into.`,
      commands: [
        `kubectl -n NAMESPACE get secret NAME -o json --show-managed-fields | jq '.metadata.managedFields |= map(select(.manager | startswith("${manager}") | not))' | kubectl replace -f -`,
      ],
    },
  ];
}

function commandText(out: string | undefined, command: string): string {
  if (out === undefined) return `secretbridge ${command}`;
  const word = /^[\w./-]+$/.test(out) ? out : `'${out.replaceAll("'", `'\\''`)}'`;
  return `secretbridge ${command} --config ${word}`;
}
