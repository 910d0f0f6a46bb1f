import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ServiceError } from '../test/integration/services/service.ts';
import { chartsOf } from './harness/charts.ts';
import { areComparable, worseRows } from './harness/compare.ts';
import { BenchError } from './harness/error.ts';
import { machine, type Result, versions } from './harness/result.ts';
import type { Benchmark } from './harness/row.ts';
import { tableOf } from './harness/table.ts';
import { BENCHMARKS } from './rows/all.ts';

const HELP = `Usage: npm run bench [-- NAME…] [options]

Measures the program on real servers (an API server, Redis) and fake stores that count their calls.
Each value is shown with its floor: the least that any program would need, measured in the same run.

${BENCHMARKS.map(({ name, title }) => `  ${name.padEnd(20)} ${title}`).join('\n')}

  --quick          run once at a tenth of the size, as a smoke test
  --out FILE       write the results as JSON
  --plots FOLDER   draw the results as SVG
  --from FILE      show, draw or compare these results instead of measuring
  --compare FILE   report each ratio that got worse by more than a quarter since these results

Exit code 0: nothing got worse. Missed goals are shown and do not fail the run.
`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      out: { type: 'string' },
      compare: { type: 'string' },
      plots: { type: 'string' },
      from: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  // Read the file before the measurement. Otherwise, a wrong path would cause an error only after half an hour.
  const before = values.compare === undefined ? undefined : await readResult(values.compare);
  const result =
    values.from === undefined
      ? await runAll(selectBenchmarks(positionals), values.quick)
      : await readResult(values.from);
  if (values.out !== undefined) await writeFile(values.out, `${JSON.stringify(result, undefined, 2)}\n`);
  if (values.plots !== undefined) await draw(values.plots, result);
  process.stdout.write(`${tableOf(result)}\n`);
  return before === undefined ? 0 : compare(before, result);
}

async function draw(folder: string, result: Result): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const [name, svg] of Object.entries(chartsOf(result))) await writeFile(join(folder, name), svg);
}

function selectBenchmarks(names: readonly string[]): readonly Benchmark[] {
  for (const name of names)
    if (!BENCHMARKS.some((benchmark) => benchmark.name === name))
      throw new BenchError(`There is no benchmark ${name}.\n\n${HELP}`);
  return names.length === 0 ? BENCHMARKS : BENCHMARKS.filter(({ name }) => names.includes(name));
}

async function runAll(benchmarks: readonly Benchmark[], quick: boolean): Promise<Result> {
  const began = Date.now();
  const groups: Result['groups'][number][] = [];
  const servers = new Map<string, string>();
  const onServer = (name: string, version: string) => void servers.set(name, version);
  for (const { name, title, run } of benchmarks) {
    const report = (line: string): void => {
      const seconds = String(Math.round((Date.now() - began) / 1_000)).padStart(5);
      process.stderr.write(`${seconds} s  ${name}: ${line}\n`);
    };
    groups.push({ name, title, rows: await run({ quick, report, onServer }) });
  }
  const at = new Date(began).toISOString();
  return {
    format: 1,
    at,
    quick,
    versions: { ...versions(), ...Object.fromEntries(servers) },
    machine: machine(),
    groups,
  };
}

async function readResult(path: string): Promise<Result> {
  const result = JSON.parse(await readFile(path, 'utf8')) as Result;
  if (result.format !== 1) throw new BenchError(`${path} is not a benchmark result`);
  return result;
}

function compare(before: Result, after: Result): number {
  if (!areComparable(before, after)) throw new BenchError('the two runs did not measure the same');
  const worse = worseRows(before, after);
  for (const { id, before: then, after: now } of worse)
    process.stdout.write(`worse: ${id} was ${then} and is ${now}\n`);
  if (worse.length === 0) process.stdout.write('no ratio got worse by more than a quarter\n');
  return worse.length === 0 ? 0 : 1;
}

/** Whether the error is an unknown option or an error of our own. */
function isExpected(error: unknown): error is Error {
  if (error instanceof ServiceError || error instanceof BenchError) return true;
  return error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS_');
}

// All servers and replicas end when this process exits.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130));

try {
  process.exitCode = await main();
} catch (error) {
  if (!isExpected(error)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
}
