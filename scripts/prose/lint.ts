import { extname } from 'node:path';
import { TextlintKernel } from '@textlint/kernel';
import { moduleInterop } from '@textlint/module-interop';
import markdown from '@textlint/textlint-plugin-markdown';
import type { TextlintPluginCreator } from '@textlint/types';
import { everySentence, plainConstructions, plainWords, shortSentences } from './rules.ts';
import { sourcePlugin } from './source-plugin.ts';

export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Some loaders wrap the default export of this CommonJS package in another object, and some do not. */
const markdownPlugin = moduleInterop(markdown) as unknown as TextlintPluginCreator;
const kernel = new TextlintKernel();
const PLUGINS = [
  { pluginId: 'markdown', plugin: markdownPlugin },
  { pluginId: 'source', plugin: sourcePlugin },
];
const RULES = [
  { ruleId: 'plain-words', rule: plainWords },
  { ruleId: 'plain-constructions', rule: plainConstructions },
  { ruleId: 'short-sentences', rule: shortSentences },
];

async function run(text: string, path: string, rules: typeof RULES): Promise<Problem[]> {
  const options = { plugins: PLUGINS, rules, ext: extname(path), filePath: path };
  const { messages } = await kernel.lintText(text, options);
  return messages.map(({ message, loc }) => ({ message, line: loc.start.line, column: loc.start.column }));
}

/** @param path The path of the file, relative to the root of the repository. A file below `test` is a test. */
export function lintText(text: string, path: string): Promise<Problem[]> {
  return run(text, path, RULES);
}

/** @returns One message for each sentence of at least four words. */
export function listSentences(text: string, path: string): Promise<Problem[]> {
  return run(text, path, [{ ruleId: 'every-sentence', rule: everySentence }]);
}
