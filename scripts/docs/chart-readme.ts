import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, type Node, type Pair, parseDocument, stringify, type YAMLMap } from 'yaml';

const VALUES = join(import.meta.dirname, '../../deploy/chart/values.yaml');

/** The sections of the page, each with the names of its top-level values. Every value must belong to a section. */
const SECTIONS: Readonly<Record<string, readonly string[]>> = {
  Configuration: ['config', 'tenants', 'check'],
  'Image and names': ['image', 'imagePullSecrets', 'nameOverride', 'fullnameOverride'],
  'Credentials and identity': ['env', 'envFrom', 'volumes', 'volumeMounts', 'identity', 'serviceAccount'],
  Rights: ['rbac'],
  Storage: ['persistence'],
  'Replicas and Redis': ['replicas', 'redis', 'podDisruptionBudget', 'topologySpread'],
  Network: ['service', 'ingress', 'networkPolicy'],
  Monitoring: ['metrics'],
  Pods: [
    'podAnnotations',
    'podLabels',
    'resources',
    'nodeSelector',
    'tolerations',
    'affinity',
    'priorityClassName',
    'terminationGracePeriodSeconds',
  ],
};

interface Value {
  readonly name: string;
  readonly default: string;
  readonly meaning: string;
}

/**
 * Returns `deploy/chart/README.md`. The table has one row for each value of `values.yaml`, described by the comment
 * above the value.
 */
export function chartReadme(): string {
  const { contents } = parseDocument(readFileSync(VALUES, 'utf8'));
  if (!isMap<Node, Node>(contents)) throw new Error('values.yaml is not a map');
  const sectionOf = new Map(
    Object.entries(SECTIONS).flatMap(([section, names]) => names.map((name) => [name, section] as const)),
  );
  const unplaced = contents.items.map(keyOf).filter((key) => !sectionOf.has(key));
  if (unplaced.length > 0)
    throw new Error(`scripts/docs/chart-readme.ts has no section for ${unplaced.join(', ')}`);
  const sections = Object.entries(SECTIONS).map(([section, names]) => {
    const pairs = contents.items.filter((pair) => names.includes(keyOf(pair)));
    return `## ${section}\n\n${table(pairs.flatMap((pair) => valuesOf(pair)))}`;
  });
  return [BEFORE, ...sections, AFTER, ''].join('\n\n');
}

/**
 * Returns the table rows for a value. A map with a comment becomes one row. A map without a comment becomes one row for
 * each of its values.
 */
function valuesOf(pair: Pair<Node, Node | null>, path = '', inherited?: string): readonly Value[] {
  const name = `${path}${keyOf(pair)}`;
  const meaning = commentOf(pair) ?? inherited;
  if (meaning === undefined && isMap<Node, Node>(pair.value)) return valuesIn(pair.value, `${name}.`);
  if (meaning === undefined) throw new Error(`deploy/chart/values.yaml does not describe ${name}`);
  return [{ name, default: defaultOf(pair.value), meaning }];
}

/**
 * The YAML parser attaches the comment above the first value of a map to the map. Therefore pass that comment on to the
 * first value.
 */
function valuesIn(map: YAMLMap<Node, Node>, path: string): readonly Value[] {
  return map.items.flatMap((pair, index) =>
    valuesOf(pair, path, index === 0 ? textOf(map.commentBefore) : undefined),
  );
}

function keyOf(pair: Pair<Node, Node | null>): string {
  if (!isScalar(pair.key)) throw new Error('a name in values.yaml is not a text');
  return String(pair.key.value);
}

function commentOf({ key }: Pair<Node, Node | null>): string | undefined {
  return textOf(key.commentBefore);
}

/** Returns the last paragraph of a comment as a table cell. */
function textOf(comment: string | null | undefined): string | undefined {
  const paragraph = comment?.split(/\n\s*\n/).at(-1);
  return paragraph
    ?.trim()
    .replaceAll(/\s*\n\s*/g, ' ')
    .replaceAll('|', '\\|');
}

function defaultOf(value: Node | null): string {
  if (value === null || (isScalar(value) && value.value === '')) return '';
  return `\`${stringify(value, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: true }).trim()}\``;
}

function table(values: readonly Value[]): string {
  const rows = values.map((value) => `| \`${value.name}\` | ${value.default} | ${value.meaning} |`);
  return ['| value | default | meaning |', '| --- | --- | --- |', ...rows].join('\n');
}

const BEFORE = `<!-- Made from values.yaml by \`npm run docs\`. Change the comments there, or scripts/docs/chart-readme.ts. -->

# Values of the chart

\`\`\`sh
helm upgrade --install bridge deploy/chart --values values.yaml --namespace secretbridge
\`\`\`

[Install with Helm](../../docs/how-to/install-with-helm.md) has the steps and examples. \`values.schema.json\` checks all
values and the [configuration](../../docs/reference/configuration.md) before anything is installed.`;

const AFTER = `## More

- [Least rights](../../docs/how-to/least-rbac.md) and [several replicas](../../docs/how-to/several-replicas.md)
- [Metrics, alerts and logs](../../docs/how-to/watch-the-bridge.md)
- [Upgrade, downgrade, uninstall](../../docs/how-to/upgrade-and-leave.md)`;
