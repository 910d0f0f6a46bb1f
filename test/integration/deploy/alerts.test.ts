import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { expressionsOf, readDashboard } from '../../deploy/dashboard.ts';
import { layerRuns } from '../services/kubectl-layer.ts';
import { ALERT_CASES, type AlertCase } from './alert-cases.ts';
import { CHART, one, renderSet } from './chart.ts';
import { findPromtool } from './promtool-install.ts';

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    }[];
  }[];
}

const path = join(CHART, 'files/alerts.yaml');
const rules = (parse(readFileSync(path, 'utf8')) as Rules).groups.flatMap((group) => group.rules);
const run = promisify(execFile);

function ruleOf(alert: string) {
  const found = rules.find((rule) => rule.alert === alert);
  if (found === undefined) throw new Error(`there is no rule ${alert}`);
  return found;
}

/** What promtool is to run for it: once with what makes it fire, and once with each of the others. */
function testsOf({ alert, at, fires, expected, quiet }: AlertCase) {
  const { labels, annotations } = ruleOf(alert);
  const alone = (series: AlertCase['fires'], alerts: readonly object[]) => ({
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [{ eval_time: at, alertname: alert, exp_alerts: alerts }],
  });
  const fired = expected.map((it) => ({
    exp_labels: { ...labels, ...it.labels },
    exp_annotations: { ...annotations, description: it.description },
  }));
  return [alone(fires, fired), ...quiet.map((series) => alone(series, []))];
}

describe('the alerts', () => {
  let promtool: string | undefined;
  beforeAll(async () => {
    promtool = await findPromtool();
  });
  beforeEach(({ skip }) => {
    if (promtool === undefined) skip('there is no promtool, and no apt-get to fetch it with');
  });

  /** What it says when it finds nothing wrong. @throws with what is wrong */
  async function check(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(promtool ?? '', args);
    return stdout;
  }

  it('are rules that Prometheus takes', async () => {
    expect(await check('check', 'rules', path)).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  it.skipIf(!layerRuns)('are rules that Prometheus takes as the chart renders them', async () => {
    const { spec } = one(await renderSet('monitoring'), 'PrometheusRule');
    await using bench = await openBench();
    await bench.write('rules.yaml', stringify(spec));
    expect(await check('check', 'rules', join(bench.folder, 'rules.yaml'))).toContain(
      `SUCCESS: ${rules.length} rules found`,
    );
  });

  it('have a case each', () => {
    expect(ALERT_CASES.map(({ alert }) => alert)).toEqual(rules.map(({ alert }) => alert));
    for (const { quiet } of ALERT_CASES) expect(quiet.length).toBeGreaterThan(0);
  });

  it.each(ALERT_CASES.map((one) => [one.alert, one] as const))(
    '%s fires when it should, and not else',
    async (_, one) => {
      await using bench = await openBench();
      const document = { rule_files: [path], evaluation_interval: '1m', tests: testsOf(one) };
      await bench.write('test.yaml', stringify(document));
      await expect(check('test', 'rules', join(bench.folder, 'test.yaml'))).resolves.toContain('SUCCESS');
    },
  );

  it('would be told of a rule that does not fire', async () => {
    await using bench = await openBench();
    const [held] = ALERT_CASES.filter(({ alert }) => alert === 'SecretbridgeHeld');
    if (held === undefined) throw new Error('no case');
    const wrong = { ...held, fires: { 'secretbridge_held{job="b"}': '0x2' }, quiet: [] };
    const document = { rule_files: [path], evaluation_interval: '1m', tests: testsOf(wrong) };
    await bench.write('test.yaml', stringify(document));
    await expect(check('test', 'rules', join(bench.folder, 'test.yaml'))).rejects.toThrow();
  });

  it('and the dashboard ask in valid PromQL', async () => {
    await using bench = await openBench();
    const rules = expressionsOf(readDashboard()).map((text, index) => ({
      record: `panel:${index}`,
      // As Grafana fills them in.
      expr: text.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*'),
    }));
    await bench.write('panels.yaml', stringify({ groups: [{ name: 'panels', rules }] }));
    expect(await check('check', 'rules', join(bench.folder, 'panels.yaml'))).toContain(
      `SUCCESS: ${rules.length} rules found`,
    );
  });
});
