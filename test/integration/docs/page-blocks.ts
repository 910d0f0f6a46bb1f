import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { blocksOf, ROOT } from '../../docs/markdown.ts';

const run = promisify(execFile);

/**
 * Returns the marks of all blocks ```` ```sh MARK ```` of a page in order. For a block without a mark, the list
 * contains an empty text.
 */
export async function marksOf(path: string): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, path), 'utf8');
  return [...text.matchAll(/^ *```sh *(\S*)$/gm)].map(([, mark = '']) => mark);
}

/** Returns the POSIX shell syntax errors in the blocks of a page. */
export async function shellProblems(path: string): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, path), 'utf8');
  const problems: string[] = [];
  for (const { language, text: script, location: place } of blocksOf({ path, text })) {
    if (language !== 'sh') continue;
    try {
      await run('sh', ['-n', '-c', script]);
    } catch (error) {
      if (!(error instanceof Error) || !('stderr' in error)) throw error;
      problems.push(`${place}: ${String(error.stderr)}`);
    }
  }
  return problems;
}

/** Returns the first YAML block of a page that contains this text. */
export async function yamlWith(path: string, part: string): Promise<string> {
  const text = await readFile(join(ROOT, path), 'utf8');
  const match = blocksOf({ path, text }).find(
    (block) => /^ya?ml$/.test(block.language) && block.text.includes(part),
  );
  if (match === undefined) throw new Error(`${path} has no YAML with ${part}`);
  return match.text;
}

/** Replaces texts. Throws when a text does not occur. */
export function replaceAllOf(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`no ${from} in: ${before}`);
    return before.replaceAll(from, to);
  }, text);
}
