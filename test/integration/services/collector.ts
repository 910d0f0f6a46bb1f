import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { type GoPrograms, installGoProgram } from './go-program.ts';
import { assertStarting, startGuarded } from './guarded.ts';
import { type Service, until } from './service.ts';

/** An OpenTelemetry collector that receives OTLP over HTTP and writes it to a file. */
export interface Collector extends Service {
  /** The port that a later collector can use again. */
  readonly port: number;
  /** The base address for OTLP over HTTP. */
  readonly endpoint: string;
  /** The content of the file: one line of OTLP JSON for each received batch. */
  received(): string;
  log(): string;
}

const COLLECTOR: GoPrograms = {
  module: 'collector',
  versionOf: 'go.opentelemetry.io/collector/otelcol',
  title: 'the OpenTelemetry collector',
  seconds: 120,
  programs: { collector: '.' },
};

/** Returns the path of the collector. On first use, builds it from the Go modules in `collector/go.mod`. */
export async function installCollector(): Promise<string> {
  return join(await installGoProgram(COLLECTOR), 'collector');
}

/** @param program The path that `installCollector` returns. */
export async function startCollector(program: string, usedPort?: number): Promise<Collector> {
  const port = usedPort ?? (await freePort());
  return startGuarded('collector', async (guard) => {
    const file = join(guard.folder, 'out', 'traces.jsonl');
    mkdirSync(join(guard.folder, 'out'));
    writeFileSync(file, '');
    const config = {
      receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${port}` } } } },
      exporters: { file: { path: file, flush_interval: '100ms' } },
      service: {
        telemetry: { metrics: { level: 'none' } },
        pipelines: { traces: { receivers: ['otlp'], exporters: ['file'] } },
      },
    };
    // JSON is valid YAML.
    writeFileSync(join(guard.folder, 'config.yaml'), JSON.stringify(config));
    const process = guard.start({
      name: 'collector',
      command: program,
      args: ['--config', `file:${join(guard.folder, 'config.yaml')}`],
      env: { HOME: guard.folder },
    });
    await until('The start of the collector', 30_000, async () => {
      await assertStarting(process);
      return answers(port);
    });
    const endpoint = `http://127.0.0.1:${port}`;
    return {
      ...{ name: 'OpenTelemetry collector', address: endpoint, endpoint, port },
      received: () => readFileSync(file, 'utf8'),
      log: () => readFileSync(join(guard.folder, 'collector.log'), 'utf8'),
    };
  });
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request({ host: '127.0.0.1', port, path: '/v1/traces', timeout: 2_000 }, (response) => {
      response.resume();
      resolve(true);
    });
    probe.on('timeout', () => probe.destroy());
    probe.on('error', () => resolve(false));
    probe.end();
  });
}
