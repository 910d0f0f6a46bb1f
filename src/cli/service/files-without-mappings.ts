import { readFile } from 'node:fs/promises';
import { type ConfigFs, realFs } from '../../config/files/files.ts';

/**
 * Reads configuration files without their mappings. Parsing ten thousand mappings takes more than a second, and the
 * address of the service does not depend on them.
 */
export const filesWithoutMappings: ConfigFs = {
  ...realFs,
  readFile: async (path) => {
    const bytes = await readFile(path);
    return Buffer.from(withoutMappings(bytes.toString('utf8')));
  },
};

/** Removes a list of mappings in block style, with one mapping in one or more lines. Leaves other styles unchanged. */
export function withoutMappings(text: string): string {
  let isInMappings = false;
  const kept = text.split('\n').filter((line) => {
    // Lines of a list are indented, begin with a dash, are comments or are empty.
    isInMappings = /^mappings:\s*(?:#.*)?$/.test(line) || (isInMappings && /^(?:\s|#|-\s|-?$)/.test(line));
    return !isInMappings;
  });
  return kept.join('\n');
}
