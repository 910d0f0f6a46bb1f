import { writeFile } from 'node:fs/promises';
import { relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, SerializedError, TestModule, TestRunEndReason, Vitest } from 'vitest/node';

export interface TestResult {
  readonly passed: number;
  /** What to look for, one for each failure: the file, the test and the first lines of its error. */
  readonly failed: readonly string[];
}

/**
 * A reporter of Vitest that writes a `TestResult` as JSON to its `outputFile`. That of its own for JSON leaves out the
 * errors that no test waits for and those of hooks, which fail a run as well.
 */
export default class ResultReporter implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  async onTestRunEnd(
    modules: readonly TestModule[],
    unhandled: readonly SerializedError[],
    reason: TestRunEndReason,
  ): Promise<void> {
    const path = this.#vitest?.config.outputFile;
    if (typeof path !== 'string') throw new Error('Where the result is to be written: --outputFile=PATH');
    const failed = [...modules.flatMap(failuresOf), ...unhandled.map(unhandledText)];
    if (reason === 'interrupted') failed.push('the run was interrupted');
    await writeFile(path, JSON.stringify({ passed: modules.reduce(countPassed, 0), failed }));
  }
}

function countPassed(sum: number, module: TestModule): number {
  return sum + [...module.children.allTests('passed')].length;
}

/** Of a file that does not load, of hooks, and of tests. */
function failuresOf(module: TestModule): string[] {
  const file = relative(process.cwd(), module.moduleId);
  const hooks = [
    { title: file, errors: module.errors() },
    ...[...module.children.allSuites()].map((suite) => ({
      title: `${file} > ${suite.fullName}`,
      errors: suite.errors(),
    })),
  ].filter(({ errors }) => errors.length > 0);
  const tests = [...module.children.allTests('failed')].map((test) => ({
    title: `${file} > ${test.fullName}`,
    errors: test.result().errors ?? [],
  }));
  const failures = [...hooks, ...tests].map(({ title, errors }) => described(title, errors));
  // Its process ended before it did.
  return /^(passed|failed|skipped)$/.test(module.state()) ? failures : [...failures, `${file} did not end`];
}

function unhandledText(error: SerializedError): string {
  const { VITEST_TEST_PATH: path, VITEST_TEST_NAME: name } = error;
  // The file and the test that ran just then, which need not be those of the error.
  const where = typeof path === 'string' ? ` in ${relative(process.cwd(), path)}` : '';
  const during = typeof name === 'string' ? `, during "${name}"` : '';
  return described(`an error that no test waits for${where}${during}`, [error]);
}

function described(title: string, errors: readonly SerializedError[]): string {
  const lines = errors
    .flatMap((error) => stripVTControlCharacters(textOf(error)).split('\n'))
    .filter((line) => !/node_modules|<anonymous>/.test(line));
  return [title, ...lines.slice(0, 12)].join('\n  ');
}

function textOf({ stack, message, cause }: SerializedError): string {
  const text = stack || message;
  return cause === undefined ? text : `${text}\ncaused by ${textOf(cause)}`;
}
