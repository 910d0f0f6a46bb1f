import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKS, FAST_TESTS } from './setup/checks.ts';
import { abortOnSignals, type Step, step } from './setup/steps.ts';
import type { TestResult } from './setup/test-reporter.ts';

// npm test: runs the same tests as CI. The run continues after a failure, so that it shows all failures. The last lines
// list the failures and `N passed, N failed`.
//
// npm run test:long: also runs the variants that `npm test` skips. Runs each randomized test ten thousand times. At the
// end, plays a game day at full size. It measures times, so nothing else runs beside it.

const LONG_RUNS = '10000';
const SLOWEST_SHOWN = 10;

const isLong = process.argv.includes('--long');
if (isLong) {
  process.env.SECRETBRIDGE_TEST_RUNS ??= LONG_RUNS;
  process.env.SECRETBRIDGE_TEST_LONG = '1';
}
const projects = [
  'thorough',
  'integration',
  'browser',
  ...(isLong ? ['long', 'integration-long', 'vault-long'] : []),
];
const filters = [
  ...projects.flatMap((project) => ['--project', project]),
  ...(isLong ? [] : ['--tags-filter=!long']),
];
/** Integration tests mostly wait for servers, so they use more workers than there are cores. */
const serverTests = ['vitest', 'run', '--maxWorkers=3', ...filters] as const;

const signal = abortOnSignals();
const reports = await mkdtemp(join(tmpdir(), 'secretbridge-test-'));

async function runCheck(check: Step): Promise<TestResult> {
  const passed = await step(check, signal);
  return { passed: passed ? 1 : 0, skipped: 0, failed: passed ? [] : [check.title], files: {} };
}

async function runTests(title: string, [name, ...args]: Step['command']): Promise<TestResult> {
  const report = join(reports, 'result.json');
  const options = ['--reporter=./scripts/setup/test-reporter.ts', `--outputFile=${report}`];
  const ok = await step({ title, command: [name, ...args, ...options], loud: true }, signal);
  const result = await readResult(report);
  // The run can fail although no test failed, for example if a server does not start or stop.
  return ok || result.failed.length > 0 ? result : { ...result, failed: [`${title}: see its output above`] };
}

/** Reads and removes a report. There is no report if the run ended early. */
async function readResult(path: string): Promise<TestResult> {
  if (!existsSync(path)) return { passed: 0, skipped: 0, failed: [], files: {} };
  const result = JSON.parse(await readFile(path, 'utf8')) as TestResult;
  await rm(path);
  return result;
}

function printSlowest(results: readonly TestResult[]): void {
  const files = results.flatMap((result) => Object.entries(result.files)).sort((a, b) => b[1] - a[1]);
  console.log('\nThe slowest files:');
  for (const [file, seconds] of files.slice(0, SLOWEST_SHOWN))
    console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}`);
}

const started = performance.now();
const results: TestResult[] = [];
for (const check of CHECKS) results.push(await runCheck(check));
results.push(await runTests('tests without servers', [...FAST_TESTS, '--project', 'programs']));
results.push(await runTests('tests with servers, processes and a browser', serverTests));
if (isLong && !signal.aborted)
  results.push(await runTests('a game day', ['vitest', 'run', '--project', 'game-day']));
await rm(reports, { recursive: true, force: true });
if (signal.aborted) {
  console.log('\nStopped. Every server and process of the run has ended.');
  process.exit(130);
}
printSlowest(results);
const sum = (of: (result: TestResult) => number): number =>
  results.reduce((total, result) => total + of(result), 0);
const failed = results.flatMap((result) => result.failed);
for (const failure of failed) console.log(`\nfailed  ${failure}`);
const minutes = ((performance.now() - started) / 60_000).toFixed(1);
console.log(`\n${minutes} minutes, ${sum(({ skipped }) => skipped)} skipped (reasons above)`);
console.log(`${sum(({ passed }) => passed)} passed, ${failed.length} failed`);
process.exit(failed.length === 0 ? 0 : 1);
