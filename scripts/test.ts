import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKS, FAST_TESTS } from './setup/checks.ts';
import { type Step, step } from './setup/steps.ts';
import type { TestResult } from './setup/test-result.ts';

// npm test: all that CI runs. It goes on after a failure, so that one run shows everything, and ends with what failed
// and the line `N passed, N failed`. `--long`: the full number of randomised runs.

// Randomised tests run many more times then.
if (process.argv.includes('--long')) process.env.SECRETBRIDGE_TEST_RUNS ??= '10000';

const reports = await mkdtemp(join(tmpdir(), 'secretbridge-test-'));

async function runTests(
  project: string,
  title: string,
  command: Step['command'] = ['vitest', 'run', '--project', project],
): Promise<TestResult> {
  const report = join(reports, `${project}.json`);
  const reporters = [
    '--reporter=default',
    '--reporter=./scripts/setup/test-result.ts',
    `--outputFile=${report}`,
  ];
  const ok = await step({
    title,
    command: [...command, ...reporters],
    loud: true,
  });
  const result = await readResult(report);
  // A run can fail without one: by a server that does not start or stop.
  return ok || result.failed.length > 0 ? result : { ...result, failed: [`${title}: see its output above`] };
}

/** Nothing where the run ended before it wrote one. */
async function readResult(path: string): Promise<TestResult> {
  if (!existsSync(path)) return { passed: 0, failed: [] };
  return JSON.parse(await readFile(path, 'utf8')) as TestResult;
}

async function runCheck(check: Step): Promise<TestResult> {
  return (await step(check)) ? { passed: 1, failed: [] } : { passed: 0, failed: [check.title] };
}

const results: TestResult[] = [];
for (const check of CHECKS) results.push(await runCheck(check));
results.push(await runTests('fast', 'fast tests', FAST_TESTS));
results.push(await runTests('thorough', 'every store, failure and policy; random lives; leaks'));
results.push(await runTests('integration', 'tests against the real servers'));
results.push(await runTests('browser', 'the review page in a browser'));
await rm(reports, { recursive: true, force: true });

const passed = results.reduce((sum, result) => sum + result.passed, 0);
const failed = results.flatMap((result) => result.failed);
for (const failure of failed) console.log(`\nfailed  ${failure}`);
console.log(`\n${passed} passed, ${failed.length} failed`);
process.exit(failed.length === 0 ? 0 : 1);
