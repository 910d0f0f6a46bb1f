import { stringify } from 'yaml';
import type { Finding, Json } from './node.ts';
import type { Kind } from './objects.ts';
import type { SecretCopy } from './store.ts';

export type Outcome = 'carried' | 'changed' | 'notCarried' | 'skipped';

export interface ObjectReport {
  readonly kind: Kind;
  readonly namespace?: string;
  readonly name: string;
  readonly outcome: Outcome;
  /** Names of the created stores or mappings. */
  readonly becomes: readonly string[];
  readonly findings: readonly Finding[];
}

export interface ImportResult {
  /** The created configuration as YAML. */
  readonly config: string;
  readonly objects: readonly ObjectReport[];
  /** Objects of the same API group that are neither stores nor external secrets. */
  readonly others: readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[];
  readonly unreadable: readonly string[];
  readonly copies: readonly SecretCopy[];
  readonly summary: Readonly<Record<Outcome, number>>;
  /** Whether the result behaves like the original only after the user has done something. */
  readonly needsPerson: boolean;
  readonly steps: readonly Step[];
}

interface Step {
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
  readonly merges: boolean;
  /** Whether there are findings that the user has to handle first. */
  readonly todo: boolean;
  /** Whether any store was converted. */
  readonly hasStores: boolean;
  /** Whether any mapping was converted. */
  readonly hasMappings: boolean;
}

/**
 * Returns the steps of a migration that changes no bytes and restarts no pods. External Secrets must not run while
 * secretbridge takes over the Secrets. Otherwise External Secrets would restore its owner reference on a Secret, and a
 * later deletion of the owner would delete the Secret.
 */
export function stepsOf(input: StepInput): readonly Step[] {
  const { hasStores, hasMappings } = input;
  return [...toFinish(input), ...(hasStores ? [toCheck(input)] : []), ...(hasMappings ? toMove(input) : [])];
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

function toMove({ out, merges }: StepInput): readonly Step[] {
  return [
    {
      title: 'Stop External Secrets',
      text: 'A running External Secrets would take its Secrets back. While it is stopped, Secrets stay unchanged. To move only some objects, set `refreshPolicy: CreatedOnce`, `creationPolicy: Orphan` and `deletionPolicy: Retain` on them. Then wait until their Secrets have no owner reference.',
      commands: ['kubectl -n external-secrets scale deployment external-secrets --replicas=0'],
    },
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
    ...(merges
      ? [
          {
            title: 'Release merged keys',
            text: 'The API server still records External Secrets as a manager of these keys, so a new value would be a conflict. Remove its entries from each Secret that is merged into.',
            commands: [
              `kubectl -n NAMESPACE get secret NAME -o json --show-managed-fields | jq '.metadata.managedFields |= map(select(.manager | startswith("externalsecrets.external-secrets.io") | not))' | kubectl replace -f -`,
            ],
          },
        ]
      : []),
    {
      title: 'Remove the External Secrets objects',
      text: 'Remove the finalizer first, because External Secrets is stopped and cannot remove it. Also remove the labels of External Secrets from the Secrets. Otherwise it would treat them as orphans if it is installed again. Remove ClusterExternalSecrets before the objects that they created.',
      commands: [
        `kubectl -n NAMESPACE patch externalsecret NAME --type=merge -p '{"metadata":{"finalizers":null}}'`,
        'kubectl -n NAMESPACE delete externalsecret NAME',
        'kubectl -n NAMESPACE label secret NAME reconcile.external-secrets.io/created-by- reconcile.external-secrets.io/managed-',
      ],
    },
    {
      title: 'Start the service',
      text: 'The service now keeps the Secrets up to date. Start External Secrets again for objects that were not converted, or uninstall it. Then remove `onConflict` from the mappings.',
      commands: [commandText(out, 'serve')],
    },
  ];
}

function commandText(out: string | undefined, command: string): string {
  if (out === undefined) return `secretbridge ${command}`;
  const word = /^[\w./-]+$/.test(out) ? out : `'${out.replaceAll("'", `'\\''`)}'`;
  return `secretbridge ${command} --config ${word}`;
}

export interface Output {
  readonly instance: string;
  readonly stores: readonly Json[];
  readonly mappings: readonly Json[];
  /** `undefined`: everything is allowed. An empty list: nothing is allowed. */
  readonly access: readonly Json[] | undefined;
  /** The incomplete mappings. Each is listed with the object that it was converted from. */
  readonly drafts: readonly { readonly of: string; readonly mapping: Json }[];
}

/** The text may be used as Helm values, so quote strings that YAML 1.1 would not read as strings. */
const OPTIONS = { lineWidth: 0, aliasDuplicateObjects: false, compat: 'yaml-1.1' } as const;

export function configText({ instance, stores, mappings, access, drafts }: Output): string {
  const head =
    '# Created by `secretbridge import external-secrets`. See its report for everything that was not converted.\n';
  const config = {
    apiVersion: 'secretbridge.dev/v1',
    instance,
    ...(stores.length === 0 ? {} : { stores }),
    ...(mappings.length === 0 ? {} : { mappings }),
    ...(access === undefined ? {} : { access }),
  };
  const rest = drafts.map(
    ({ of, mapping }) =>
      `\n# Incomplete, so not active: ${inOneLine(of)}. Activating it unchanged would remove keys.\n${commented(stringify([mapping], OPTIONS))}`,
  );
  return `${head}${stringify(config, OPTIONS)}${rest.join('')}`;
}

/** Escape line breaks, because they would end the comment. */
function inOneLine(text: string): string {
  return text.replace(/[\r\n\u0085\u2028\u2029]+/g, ' ');
}

/**
 * Turns each line into a comment. Recognizes the line breaks of all YAML versions. Quoted text may contain `\u0085`,
 * `\u2028` and `\u2029` unescaped.
 */
function commented(text: string): string {
  return text
    .split(/(?<=[\r\n\u0085\u2028\u2029])/)
    .map((line) => (/^[\r\n\u0085\u2028\u2029]/.test(line) ? `#${line}` : `#  ${line}`))
    .join('');
}
