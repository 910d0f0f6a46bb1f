import type { Refused } from './checks.ts';
import { createCollector } from './collector.ts';
import { EXTERNAL_SECRETS } from './external-secrets/tool.ts';
import { KUBERNETES_EXTERNAL_SECRETS } from './kubernetes-external-secrets/tool.ts';
import { type Json, nameOf } from './node.ts';
import type { Objects } from './objects.ts';
import { configText, type ImportResult, type ObjectReport, type Outcome } from './result.ts';
import { SECRETS_STORE_CSI } from './secrets-store-csi/tool.ts';
import { stepsOf } from './steps.ts';
import { createSecretRefs } from './store.ts';
import type { Defaults, Tool } from './tool.ts';
import { VAULT_SECRETS_OPERATOR } from './vault-secrets-operator/tool.ts';

/** The tools whose objects can be imported, in the order of the help. */
export const TOOLS: readonly Tool[] = [
  EXTERNAL_SECRETS,
  KUBERNETES_EXTERNAL_SECRETS,
  SECRETS_STORE_CSI,
  VAULT_SECRETS_OPERATOR,
];

export interface ImportOptions {
  readonly instance: string;
  /** The namespace in which secretbridge itself runs. It contains the credentials and cannot contain targets. */
  readonly ownNamespace: string;
  /** The output file that the migration steps name. */
  readonly out?: string;
  readonly defaults?: Defaults;
  /** The stores and mappings that our configuration check rejects. They are left out of the result. */
  readonly refused?: Refused;
}

const NOTHING_REFUSED: Refused = { stores: new Map(), mappings: new Map() };

/** Converts objects of a tool to a configuration. The result does not depend on their order. */
export function importObjects(tool: Tool, objects: Objects, options: ImportOptions): ImportResult {
  const { ownNamespace, refused = NOTHING_REFUSED, defaults = {} } = options;
  const secrets = createSecretRefs(ownNamespace);
  const collector = createCollector(ownNamespace, refused);
  const { stores, access, windows = [] } = tool.convert(objects, { collector, secrets, refused, defaults });
  const { mappings, drafts } = collector;
  const reports = collector.reports();
  const needsAction = reports.some(({ findings }) => findings.some((finding) => finding.todo !== undefined));
  return {
    config: configText({
      command: tool.name,
      instance: options.instance,
      stores: stores.toSorted(byName),
      mappings: mappings.toSorted(byName),
      access,
      windows: windows.filter(isOneOf(mappings)).toSorted(byMapping),
      drafts,
    }),
    objects: reports,
    others: objects.others,
    unreadable: objects.unreadable,
    copies: secrets.copies,
    summary: summaryOf(reports),
    needsPerson: needsAction || objects.others.length + objects.unreadable.length > 0,
    steps: stepsOf({
      own: ownNamespace,
      out: options.out,
      copies: secrets.copies,
      todo: needsAction,
      hasStores: stores.length > 0,
      tool: mappings.length === 0 ? undefined : tool.steps(mappings),
    }),
  };
}

function byName(a: Json, b: Json): number {
  return nameOf(a) < nameOf(b) ? -1 : 1;
}

/** Returns whether the mapping of a window is active. */
function isOneOf(mappings: readonly Json[]): (window: Json) => boolean {
  const names = new Set(mappings.map(nameOf));
  return (window) => names.has(mappingOf(window));
}

function byMapping(a: Json, b: Json): number {
  return mappingOf(a) < mappingOf(b) ? -1 : Number(mappingOf(a) > mappingOf(b));
}

function mappingOf({ mappings }: Json): string {
  return String(mappings);
}

function summaryOf(reports: readonly ObjectReport[]): ImportResult['summary'] {
  const count = (expected: Outcome) => reports.filter(({ outcome }) => outcome === expected).length;
  return {
    carried: count('carried'),
    changed: count('changed'),
    notCarried: count('notCarried'),
    skipped: count('skipped'),
  };
}
