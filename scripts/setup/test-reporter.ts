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
  /** One text for each failure: the file, the test and the first lines of its error. */
  readonly failed: readonly string[];
  /** How long each file took, in seconds. */
  readonly files: Readonly<Record<string, number>>;
}

const TIMES = join(cacheFolder(), 'test-times.json');
const STATUS_MS = 30_000;
const SHOWN_FROM_SECONDS = 1;

/**
 * A Vitest reporter. It prints one line for each slow or failed file with the time left, and writes a `TestResult` as
 * JSON to `outputFile`. Estimates come from the previous run on this machine.
 *
 * It ends the run when the process that started it is gone, so that `kill -9` leaves nothing running.
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
    // Vitest may report the start of a short file after its end.
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

  /** The expected times of the unfinished files, spread over the workers. */
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
    // A first run has no times, and a damaged file is as good as none.
    if (error instanceof SyntaxError || (error instanceof Error && 'code' in error)) return {};
    throw error;
  }
}

function writeTimes(times: Readonly<Record<string, number>>): void {
  mkdirSync(dirname(TIMES), { recursive: true });
  writeFileSync(TIMES, JSON.stringify(times));
}

/** Each reason once, with the number of tests that it skipped. */
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

/** Skipped tests, without those that the filter for tags left out. */
function skippedTests(module: TestModule): TestCase[] {
  const isFiltered = ({ tags }: TestCase): boolean =>
    tags.includes('long') && process.env.SECRETBRIDGE_TEST_LONG !== '1';
  return [...module.children.allTests('skipped')].filter((test) => !isFiltered(test));
}

/** Failures of loading the file, of its hooks and of its tests. */
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
  // The worker died before the file ended.
  return /^(passed|failed|skipped)$/.test(module.state()) ? failures : [...failures, `${file} did not end`];
}

function unhandledText(error: SerializedError): string {
  const { VITEST_TEST_PATH: path, VITEST_TEST_NAME: name } = error;
  // The file and the test that ran at that moment. The error may come from an earlier one.
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
