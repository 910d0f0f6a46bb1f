import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKS, FAST_TESTS } from './setup/checks.ts';
import { type Step, step } from './setup/steps.ts';

// npm test: all that CI runs. It goes on after a failure, so that one run shows everything, and ends with the
// line `N passed, N failed`. `--long`: the full number of randomised runs.

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

// Randomised tests run many more times then.
if (process.argv.includes('--long')) process.env.SECRETBRIDGE_TEST_RUNS ??= '10000';

const reports = await mkdtemp(join(tmpdir(), 'secretbridge-test-'));

async function runTests(
  project: string,
  title: string,
  command: Step['command'] = ['vitest', 'run', '--project', project],
): Promise<Counts> {
  const report = join(reports, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const ok = await step({
    title,
    command: [...command, ...reporters],
    loud: true,
  });
  const counts = await readCounts(report);
  // A run can fail without a failing test: a file that does not load, a server that does not start.
  return ok || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

async function readCounts(path: string): Promise<Counts> {
  try {
    const report = JSON.parse(await readFile(path, 'utf8')) as {
      numPassedTests: number;
      numFailedTests: number;
    };
    return { passed: report.numPassedTests, failed: report.numFailedTests };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return { passed: 0, failed: 0 };
    throw error;
  }
}

async function runCheck(check: Step): Promise<Counts> {
  return (await step(check)) ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

const results: Counts[] = [];
for (const check of CHECKS) results.push(await runCheck(check));
results.push(await runTests('fast', 'fast tests', FAST_TESTS));
results.push(await runTests('thorough', 'every store, failure and policy; random lives; leaks'));
results.push(await runTests('integration', 'tests against the real servers'));
results.push(await runTests('browser', 'the review page in a browser'));
await rm(reports, { recursive: true, force: true });

const total = (part: keyof Counts): number => results.reduce((sum, counts) => sum + counts[part], 0);
console.log(`\n${total('passed')} passed, ${total('failed')} failed`);
process.exit(total('failed') === 0 ? 0 : 1);
