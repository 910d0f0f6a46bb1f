import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackDebian } from './debian.ts';
import { freePort, retryOnPortClash } from './free-port.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { type Service, until } from './service.ts';

/** Returns the folder of the programs `prometheus` and `promtool`. Undefined on a system without apt-get. */
export async function findPrometheus(): Promise<string | undefined> {
  const files = await unpackDebian('prometheus', { packages: ['prometheus'], size: '20 MB' });
  return files && join(files, 'usr', 'bin');
}

export interface Prometheus extends Service {
  /** Whether the last scrape worked. */
  isScraping(): Promise<boolean>;
  /** Returns the names of the alerts that fire now. */
  firing(): Promise<readonly string[]>;
  /** Returns the times in seconds at which each alert fired, in order. */
  firingTimes(): Promise<ReadonlyMap<string, readonly number[]>>;
}

export interface PrometheusOptions {
  /** The `host:port` that is scraped every second, as the job `secretbridge`. */
  readonly target: string;
  /** The text of a rule file. The rules are evaluated every second. */
  readonly rules: string;
}

const FIRING = 'ALERTS{alertstate="firing"}';

/** @param programs The folder that `findPrometheus` returns. */
export function startPrometheus(programs: string, options: PrometheusOptions): Promise<Prometheus> {
  return retryOnPortClash(() =>
    startGuarded('prometheus', async (guard) => {
      const address = `127.0.0.1:${await freePort()}`;
      const start = Date.now() / 1000;
      writeFileSync(join(guard.folder, 'rules.yaml'), options.rules);
      const config = {
        global: { scrape_interval: '1s', evaluation_interval: '1s' },
        rule_files: ['rules.yaml'],
        scrape_configs: [
          {
            job_name: 'secretbridge',
            honor_labels: true,
            static_configs: [{ targets: [options.target] }],
          },
        ],
      };
      // JSON is valid YAML.
      writeFileSync(join(guard.folder, 'prometheus.yaml'), JSON.stringify(config));
      const process = guard.start({
        name: 'Prometheus',
        command: join(programs, 'prometheus'),
        args: [
          `--config.file=${join(guard.folder, 'prometheus.yaml')}`,
          `--storage.tsdb.path=${join(guard.folder, 'data')}`,
          `--web.listen-address=${address}`,
        ],
        env: { HOME: guard.folder },
      });
      await until('The start of Prometheus', 30_000, async () => {
        await assertStarting(process);
        return isReady(address);
      });
      const query = async (path: string, parameters: Record<string, string>) => {
        const answer = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`);
        return ((await answer.json()) as Answer).data.result;
      };
      return {
        name: 'Prometheus',
        address,
        async isScraping() {
          const [up] = await query('query', { query: 'up' });
          return up?.value?.[1] === '1';
        },
        async firing() {
          return (await query('query', { query: FIRING })).map(({ metric }) => metric.alertname);
        },
        async firingTimes() {
          const range = { start: String(start), end: String(Date.now() / 1000), step: '1' };
          const result = await query('query_range', { query: FIRING, ...range });
          const byAlert = Map.groupBy(result, ({ metric }) => metric.alertname);
          return new Map(
            Array.from(byAlert, ([name, series]) => [
              name,
              series.flatMap(({ values = [] }) => values.map(([time]) => time)).sort((a, b) => a - b),
            ]),
          );
        },
      };
    }),
  );
}

interface Answer {
  readonly data: {
    readonly result: readonly {
      readonly metric: { readonly alertname: string };
      /** The time and the value of an instant query. */
      readonly value?: readonly [number, string];
      /** The times and the values of a range query. */
      readonly values?: readonly (readonly [number, string])[];
    }[];
  };
}

async function isReady(address: string): Promise<boolean> {
  try {
    return (await fetch(`http://${address}/-/ready`)).ok;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}
