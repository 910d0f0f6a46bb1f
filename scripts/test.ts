import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { CHECKS, FAST_TESTS } from './setup/checks.ts';
import { type Step, step } from './setup/steps.ts';

// npm test: all that CI runs. It goes on after a failure, so that one run shows everything, and ends with what failed
// and the line `N passed, N failed`. `--long`: the full number of randomised runs.

interface Result {
  readonly passed: number;
  /** What to look for, one for each failure: the file, the test and the first lines of its error. */
  readonly failed: readonly string[];
}

/** What Vitest's JSON reporter writes, as far as it is used here. */
interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

// Randomised tests run many more times then.
if (process.argv.includes('--long')) process.env.SECRETBRIDGE_TEST_RUNS ??= '10000';

const reports = await mkdtemp(join(tmpdir(), 'secretbridge-test-'));

async function runTests(
  project: string,
  title: string,
  command: Step['command'] = ['vitest', 'run', '--project', project],
): Promise<Result> {
  const report = join(reports, `${project}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const ok = await step({
    title,
    command: [...command, ...reporters],
    loud: true,
  });
  const result = await readResult(report);
  // A run can fail without a failing test: a server that does not start, an error that no test waits for.
  return ok || result.failed.length > 0 ? result : { ...result, failed: [`${title}: see its output above`] };
}

async function readResult(path: string): Promise<Result> {
  try {
    const report = JSON.parse(await readFile(path, 'utf8')) as Report;
    return { passed: report.numPassedTests, failed: report.testResults.flatMap(failuresOf) };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
      return { passed: 0, failed: [] };
    throw error;
  }
}

function failuresOf({ name, status, message, assertionResults }: Report['testResults'][number]): string[] {
  const file = relative(process.cwd(), name);
  const tests = assertionResults
    .filter((test) => test.status === 'failed')
    .map((test) => described(`${file} > ${test.fullName}`, test.failureMessages.join('\n')));
  // A file that does not load has no tests, and one whose hook failed has no message.
  const why = message === '' ? 'A hook of it failed: see its output above.' : message;
  return status === 'failed' && tests.length === 0 ? [described(file, why)] : tests;
}

function described(title: string, error: string): string {
  const lines = stripVTControlCharacters(error)
    .split('\n')
    .filter((line) => !/node_modules|<anonymous>/.test(line));
  return [title, ...lines.slice(0, 12)].join('\n  ');
}

async function runCheck(check: Step): Promise<Result> {
  return (await step(check)) ? { passed: 1, failed: [] } : { passed: 0, failed: [check.title] };
}

const results: Result[] = [];
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
