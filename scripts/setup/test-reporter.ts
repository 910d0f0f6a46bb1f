import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type {
  Reporter,
  SerializedError,
  TestCase,
  TestModule,
  TestRunEndReason,
  TestSpecification,
  Vitest,
} from 'vitest/node';
import { cacheFolder } from './cache.js';

export interface TestResult {
  readonly passed: number;
  readonly skipped: number;
  /** One text for each failure, with the file, the test and the first lines of the error. */
  readonly failed: readonly string[];
  /** The duration of each file in seconds. */
  readonly files: Readonly<Record<string, number>>;
}

const IS_LONG = process.env.SECRETBRIDGE_TEST_LONG === '1';
// A test file takes longer under `npm run test:long`, because more of its variants run.
const TIMES = join(cacheFolder(), IS_LONG ? 'test-times-long.json' : 'test-times.json');
const STATUS_MS = 30_000;
const SHOWN_FROM_SECONDS = 1;

/**
 * A Vitest reporter. For each slow or failed file, it prints one line with the estimated time left. It writes a
 * `TestResult` as JSON to `outputFile`. Estimates are based on the previous run on this machine.
 *
 * The reporter ends the run when its parent process has ended, so that a `kill -9` of the parent leaves no process
 * running.
 */
export default class TestReporter implements Reporter {
  #vitest: Vitest | undefined;
  #started = 0;
  #timers: NodeJS.Timeout[] = [];
  readonly #times = readTimes();
  readonly #waiting = new Set<string>();
  readonly #running = new Map<string, number>();
  readonly #done: Record<string, number> = {};

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
    const parent = process.ppid;
    const endWithParent = (): void => {
      if (process.ppid !== parent) process.kill(-process.pid, 'SIGTERM');
    };
    this.#timers.push(setInterval(endWithParent, 1_000).unref());
  }

  onTestRunStart(specifications: readonly TestSpecification[]): void {
    this.#started = performance.now();
    for (const { project, moduleId } of specifications) this.#waiting.add(key(project.name, moduleId));
    this.#timers.push(setInterval(() => this.#printStatus(), STATUS_MS).unref());
  }

  onTestModuleStart(module: TestModule): void {
    const file = key(module.project.name, module.moduleId);
    // If a test file runs for only a short time, Vitest may report its end before its start.
    if (file in this.#done) return;
    this.#waiting.delete(file);
    this.#running.set(file, performance.now());
  }

  onTestModuleEnd(module: TestModule): void {
    const file = key(module.project.name, module.moduleId);
    const seconds = (performance.now() - (this.#running.get(file) ?? performance.now())) / 1_000;
    this.#waiting.delete(file);
    this.#running.delete(file);
    this.#done[file] = seconds;
    const failures = failuresOf(module);
    if (failures.length === 0 && seconds < SHOWN_FROM_SECONDS) return;
    this.#print(`${failures.length === 0 ? 'ok    ' : 'failed'}  ${file} (${seconds.toFixed(1)} s)`);
    for (const failure of failures) console.log(`        ${failure.replaceAll('\n', '\n        ')}`);
  }

  async onTestRunEnd(
    modules: readonly TestModule[],
    unhandled: readonly SerializedError[],
    reason: TestRunEndReason,
  ): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    printSkipped(modules);
    writeTimes({ ...this.#times, ...this.#done });
    const path = this.#vitest?.config.outputFile;
    if (typeof path !== 'string') throw new Error('The reporter needs --outputFile=PATH.');
    const failed = [...modules.flatMap(failuresOf), ...unhandled.map(unhandledText)];
    if (reason === 'interrupted') failed.push('the run was interrupted');
    const result: TestResult = {
      passed: modules.reduce((sum, module) => sum + [...module.children.allTests('passed')].length, 0),
      skipped: modules.reduce((sum, module) => sum + skippedTests(module).length, 0),
      failed,
      files: this.#done,
    };
    await writeFile(path, JSON.stringify(result));
  }

  #printStatus(): void {
    const files = [...this.#running.keys()].map((file) => file.replace(/^.*test\//, ''));
    if (files.length > 0) this.#print(`running ${files.join(', ')}`);
  }

  #print(text: string): void {
    const elapsed = Math.round((performance.now() - this.#started) / 1_000);
    const clock = `${Math.floor(elapsed / 60)}:${String(elapsed % 60).padStart(2, '0')}`;
    const total = this.#waiting.size + this.#running.size + Object.keys(this.#done).length;
    const minutes = this.#secondsLeft() / 60;
    const left = minutes < 1 ? 'under a minute left' : `about ${Math.round(minutes)} min left`;
    console.log(`[${clock}, ${Object.keys(this.#done).length} of ${total} files, ${left}] ${text}`);
  }

  /** Estimates the remaining time: the expected durations of the unfinished files, divided among the workers. */
  #secondsLeft(): number {
    const known = Object.entries(this.#done);
    const average = known.reduce((sum, [, seconds]) => sum + seconds, 0) / Math.max(known.length, 1);
    const expected = (file: string): number => this.#times[file] ?? average;
    let seconds = 0;
    for (const file of this.#waiting) seconds += expected(file);
    for (const [file, started] of this.#running)
      seconds += Math.max(expected(file) - (performance.now() - started) / 1_000, 0);
    return seconds / Math.max(this.#running.size, 1);
  }
}

function key(project: string, moduleId: string): string {
  return `${project} ${relative(process.cwd(), moduleId)}`;
}

function readTimes(): Record<string, number> {
  try {
    return JSON.parse(readFileSync(TIMES, 'utf8')) as Record<string, number>;
  } catch (error) {
    // On the first run the file does not exist. A damaged file is treated as missing.
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return {};
    throw error;
  }
}

function writeTimes(times: Readonly<Record<string, number>>): void {
  mkdirSync(dirname(TIMES), { recursive: true });
  writeFileSync(TIMES, JSON.stringify(times));
}

/** Prints each reason for skipping once, with the number of skipped tests. */
function printSkipped(modules: readonly TestModule[]): void {
  const reasons = new Map<string, number>();
  for (const module of modules)
    for (const test of skippedTests(module)) {
      const result = test.result();
      const note = result.state === 'skipped' ? result.note : undefined;
      const reason =
        note ?? `no reason given: ${relative(process.cwd(), module.moduleId)} > ${test.fullName}`;
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
  for (const [reason, tests] of reasons) console.log(`skipped ${tests}: ${reason}`);
}

/** Returns the skipped tests, except those that the tag filter excludes. */
function skippedTests(module: TestModule): TestCase[] {
  const isFiltered = ({ tags }: TestCase): boolean => tags.includes('long') && !IS_LONG;
  return [...module.children.allTests('skipped')].filter((test) => !isFiltered(test));
}

/** Returns the failures that occurred while loading the file, in its hooks and in its tests. */
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
  // The worker process died before the file ended.
  return /^(passed|failed|skipped)$/.test(module.state()) ? failures : [...failures, `${file} did not end`];
}

function unhandledText(error: SerializedError): string {
  const { VITEST_TEST_PATH: path, VITEST_TEST_NAME: name } = error;
  // The file and the test that were running when the error occurred. An earlier test may have caused the error.
  const where = typeof path === 'string' ? ` in ${relative(process.cwd(), path)}` : '';
  const during = typeof name === 'string' ? `, during "${name}"` : '';
  return described(`an unhandled error${where}${during}`, [error]);
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
