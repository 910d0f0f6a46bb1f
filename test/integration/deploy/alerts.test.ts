import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { openBench } from '../../cli/harness.ts';
import { expressionsOf, readDashboard } from '../../deploy/dashboard.ts';
import { HELM_NOTE, isHelmAvailable } from '../services/kubectl-layer.ts';
import { ALERT_CASES, type AlertCase } from './alert-cases.ts';
import { CHART, findOne, renderSet } from './chart.ts';
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
  const match = rules.find((rule) => rule.alert === alert);
  if (match === undefined) throw new Error(`no rule ${alert}`);
  return match;
}

/**
 * Returns the promtool tests of a case: one with the series for which the alert fires, and one for each set of series
 * for which the alert must not fire.
 */
function promtoolTestsOf({ alert, at, fires, expected, quiet }: AlertCase) {
  const { labels, annotations } = ruleOf(alert);
  const testOf = (series: AlertCase['fires'], alerts: readonly object[]) => ({
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [{ eval_time: at, alertname: alert, exp_alerts: alerts }],
  });
  const expectedAlerts = expected.map((expectedAlert) => ({
    exp_labels: { ...labels, ...expectedAlert.labels },
    exp_annotations: { ...annotations, description: expectedAlert.description },
  }));
  return [testOf(fires, expectedAlerts), ...quiet.map((series) => testOf(series, []))];
}

describe('the alerts', () => {
  let promtool: string | undefined;
  beforeAll(async () => {
    promtool = await findPromtool();
  });
  beforeEach(({ skip }) => {
    if (promtool === undefined) skip('needs promtool, or apt-get to fetch it');
  });

  /** Runs promtool and returns its output. @throws with the error output of promtool */
  async function check(...args: readonly string[]): Promise<string> {
    const { stdout } = await run(promtool ?? '', args);
    return stdout;
  }

  it('the alerts are valid rules for Prometheus', async () => {
    expect(await check('check', 'rules', path)).toContain(`SUCCESS: ${rules.length} rules found`);
  });

  it.skipIf(!isHelmAvailable)(
    `the alerts that the chart renders are valid rules for Prometheus${HELM_NOTE}`,
    async () => {
      const { spec } = findOne(await renderSet('monitoring'), 'PrometheusRule');
      await using bench = await openBench();
      await bench.write('rules.yaml', stringify(spec));
      expect(await check('check', 'rules', join(bench.folder, 'rules.yaml'))).toContain(
        `SUCCESS: ${rules.length} rules found`,
      );
    },
  );

  it('each alert has exactly one test case', () => {
    expect(ALERT_CASES.map(({ alert }) => alert)).toEqual(rules.map(({ alert }) => alert));
    for (const { quiet } of ALERT_CASES) expect(quiet.length).toBeGreaterThan(0);
  });

  it.each(ALERT_CASES.map((alertCase) => [alertCase.alert, alertCase] as const))(
    'the alert fires for exactly the series that its test case expects: %s',
    async (_, alertCase) => {
      await using bench = await openBench();
      const document = { rule_files: [path], evaluation_interval: '1m', tests: promtoolTestsOf(alertCase) };
      await bench.write('test.yaml', stringify(document));
      await expect(check('test', 'rules', join(bench.folder, 'test.yaml'))).resolves.toContain('SUCCESS');
    },
  );

  it('a promtool test fails if an expected alert does not fire', async () => {
    await using bench = await openBench();
    const [heldCase] = ALERT_CASES.filter(({ alert }) => alert === 'SecretbridgeHeld');
    if (heldCase === undefined) throw new Error('no case for SecretbridgeHeld');
    const failingCase = { ...heldCase, fires: { 'secretbridge_held{job="b"}': '0x2' }, quiet: [] };
    const document = { rule_files: [path], evaluation_interval: '1m', tests: promtoolTestsOf(failingCase) };
    await bench.write('test.yaml', stringify(document));
    await expect(check('test', 'rules', join(bench.folder, 'test.yaml'))).rejects.toThrow();
  });

  it('the dashboard contains only valid PromQL', async () => {
    await using bench = await openBench();
    const rules = expressionsOf(readDashboard()).map((text, index) => ({
      record: `panel:${index}`,
      // Grafana fills in these variables.
      expr: text.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*'),
    }));
    await bench.write('panels.yaml', stringify({ groups: [{ name: 'panels', rules }] }));
    expect(await check('check', 'rules', join(bench.folder, 'panels.yaml'))).toContain(
      `SUCCESS: ${rules.length} rules found`,
    );
  });
});
