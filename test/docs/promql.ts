import { METRICS, type MetricDefinition } from '../../src/telemetry/metric-names.ts';

const PROM_CLIENT = /^(nodejs|process)_/;
/** Labels that Prometheus adds. */
const PROMETHEUS_LABELS = new Set(['job', 'instance', 'pod', 'namespace', 'container', 'service', 'le']);
const SUFFIX = /_(bucket|sum|count)$/;

function definitionOf(name: string): MetricDefinition | undefined {
  const metrics: Readonly<Record<string, MetricDefinition>> = METRICS;
  const whole = metrics[name];
  if (whole !== undefined) return whole;
  const base = metrics[name.replace(SUFFIX, '')];
  return base?.type === 'histogram' ? base : undefined;
}

/** Whether the program publishes a metric. A trailing `…` or `*` makes the name a prefix. */
export function isMetric(name: string): boolean {
  if (/(…|\*|_)$/.test(name)) {
    const prefix = name.replace(/[…*]+$/, '');
    return PROM_CLIENT.test(prefix) || Object.keys(METRICS).some((metric) => metric.startsWith(prefix));
  }
  return PROM_CLIENT.test(name) || definitionOf(name) !== undefined;
}

/** Returns the unknown metrics and labels in an expression. */
export function expressionProblems(expression: string): readonly string[] {
  const selectors = [...expression.matchAll(/\b((?:secretbridge|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)];
  if (selectors.length === 0) return [`no metric of ours in: ${expression}`];
  const unknown = selectors
    .filter(([, name = '']) => !isMetric(name))
    .map(([, name]) => `there is no ${name}`);
  const labelsOf = (name: string): readonly string[] => definitionOf(name)?.labels ?? [];
  const inBraces = selectors.flatMap(([, name = '', selector = '']) =>
    [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)]
      .map(([, label = '']) => label)
      .filter((label) => !labelsOf(name).includes(label) && !PROMETHEUS_LABELS.has(label))
      .map((label) => `${name} has no label ${label}`),
  );
  const all = new Set(selectors.flatMap(([, name = '']) => labelsOf(name)));
  const grouped = [...expression.matchAll(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g)]
    .flatMap(([, list = '']) => list.split(',').map((label) => label.trim()))
    .filter((label) => label !== '' && !all.has(label) && !PROMETHEUS_LABELS.has(label))
    .map((label) => `no metric of ${expression} has the label ${label}`);
  return [...unknown, ...inBraces, ...grouped];
}
