import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { blocksOf, ROOT } from '../../docs/markdown.ts';

const run = promisify(execFile);

/** The marks of all blocks ```` ```sh MARK ```` of a page, in their order; one without a mark is an empty text. */
export async function marksOf(path: string): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, path), 'utf8');
  return [...text.matchAll(/^ *```sh *(\S*)$/gm)].map(([, mark = '']) => mark);
}

/** What a POSIX shell says about the blocks of a page that it cannot read. */
export async function shellProblems(path: string): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, path), 'utf8');
  const problems: string[] = [];
  for (const { language, text: script, place } of blocksOf({ path, text })) {
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

/** The first block of YAML of a page that holds this text. */
export async function yamlWith(path: string, part: string): Promise<string> {
  const text = await readFile(join(ROOT, path), 'utf8');
  const found = blocksOf({ path, text }).find(
    (block) => /^ya?ml$/.test(block.language) && block.text.includes(part),
  );
  if (found === undefined) throw new Error(`${path} has no YAML with ${part}`);
  return found.text;
}

/** Puts other texts in place of these, each of which must be there. */
export function replaced(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`there is no ${from} in: ${before}`);
    return before.replaceAll(from, to);
  }, text);
}
