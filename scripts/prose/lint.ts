import { extname } from 'node:path';
import { TextlintKernel } from '@textlint/kernel';
import { moduleInterop } from '@textlint/module-interop';
import markdown from '@textlint/textlint-plugin-markdown';
import type { TextlintPluginCreator } from '@textlint/types';
import { plainConstructions, plainWords, shortSentences } from './rules.ts';
import { sourcePlugin } from './source-plugin.ts';

export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Its CommonJS default export arrives wrapped or not, by the loader. */
const markdownPlugin = moduleInterop(markdown) as unknown as TextlintPluginCreator;
const kernel = new TextlintKernel();
const OPTIONS = {
  plugins: [
    { pluginId: 'markdown', plugin: markdownPlugin },
    { pluginId: 'source', plugin: sourcePlugin },
  ],
  rules: [
    { ruleId: 'plain-words', rule: plainWords },
    { ruleId: 'plain-constructions', rule: plainConstructions },
    { ruleId: 'short-sentences', rule: shortSentences },
  ],
};

/** @param path Relative to the root. The first folder tells tests from other sources. */
export async function lintText(text: string, path: string): Promise<Problem[]> {
  const { messages } = await kernel.lintText(text, { ...OPTIONS, ext: extname(path), filePath: path });
  return messages.map(({ message, loc }) => ({ message, line: loc.start.line, column: loc.start.column }));
}
