// npm run prose [-- PATH…]: checks the language of documents, comments, messages and test names.
//
// npm run prose -- --sample N [--seed S]: prints random sentences with the lines around them: N from documents, N from
// tests and N from other sources.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EXCEPTIONS } from './prose/exceptions.ts';
import { lintText, listSentences } from './prose/lint.ts';
import { FORBIDDEN_FILE_WORDS } from './prose/vocabulary.ts';

const ROOT = join(import.meta.dirname, '..');
const FOLDERS = ['src', 'test', 'scripts', 'bench', 'deploy'];
/** Files that are not checked, because they contain the forbidden words as data. */
const SKIPPED = ['scripts/prose/vocabulary.ts', 'test/prose.test.ts'];
const MAX_EXCEPTIONS = 20;

function listFiles(paths: readonly string[]): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...paths];
  const files = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).split('\n');
  return files.filter(
    (file) => /\.(?:md|ts|js)$/.test(file) && !SKIPPED.includes(file) && existsSync(join(ROOT, file)),
  );
}

/** Returns the forbidden words in the name of a file and of its folders. */
function forbiddenNames(file: string): string[] {
  const words = file.split('/').flatMap((part) => part.split(/[-.]/));
  return words.filter((word) => FORBIDDEN_FILE_WORDS.has(word));
}

/** Returns a random number generator with a seed (Mulberry32). @returns Numbers from 0 (inclusive) to 1 (exclusive). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function printSample(count: number, seed: number): Promise<number> {
  const random = randomNumbers(seed);
  console.log(`seed ${seed}`);
  for (const [kind, paths] of [
    ['documents', ['*.md']],
    ['tests', ['test']],
    ['sources', ['src', 'scripts', 'bench']],
  ] as const) {
    const sentences: string[] = [];
    for (const file of listFiles(paths)) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      const lines = text.split('\n');
      for (const { line, message } of await listSentences(text, file)) {
        const excerpt = lines.slice(Math.max(0, line - 3), line + 2).map((content) => `    | ${content}`);
        sentences.push([`${file}:${line}  ${message}`, ...excerpt].join('\n'));
      }
    }
    console.log(`\n${count} of ${sentences.length} sentences in ${kind}`);
    for (let n = 0; n < count; n++) console.log(sentences[Math.floor(random() * sentences.length)]);
  }
  return 0;
}

async function main(paths: readonly string[]): Promise<number> {
  const isWhole = paths.length === 0;
  const unused = new Set(EXCEPTIONS);
  const problems: string[] = [];
  for (const file of listFiles(isWhole ? ['*.md', ...FOLDERS] : paths)) {
    const text = readFileSync(join(ROOT, file), 'utf8');
    const lines = text.split('\n');
    const names = forbiddenNames(file).map((word) => ({
      line: 1,
      column: 1,
      message: `"${word}" in the file name`,
    }));
    for (const { line, column, message } of [...names, ...(await lintText(text, file))]) {
      const exception = EXCEPTIONS.find(
        (entry) =>
          entry.file === file &&
          (lines[line - 1]?.includes(entry.text) === true || message.startsWith(entry.text)),
      );
      if (exception === undefined) problems.push(`${file}:${line}:${column}  ${message}`);
      else unused.delete(exception);
    }
  }
  if (isWhole)
    for (const { file, text } of unused)
      problems.push(`scripts/prose/exceptions.ts: not needed: ${file}, ${text}`);
  if (EXCEPTIONS.length > MAX_EXCEPTIONS)
    problems.push(`scripts/prose/exceptions.ts: more than ${MAX_EXCEPTIONS} exceptions`);
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  if (problems.length > 0)
    process.stderr.write(`${problems.length} problems. scripts/prose/vocabulary.ts has the rules.\n`);
  return problems.length === 0 ? 0 : 1;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'string' }, seed: { type: 'string', default: String(Date.now() % 100_000) } },
});
process.exitCode =
  values.sample === undefined
    ? await main(positionals)
    : await printSample(Number(values.sample), Number(values.seed));
