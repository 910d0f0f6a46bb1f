import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ParsedYaml, parseYaml } from './yaml.ts';

export interface YamlText {
  readonly text: string;
  /** The file name to use in places. */
  readonly file: string;
}

/** Parses each text and returns the results in the same order. */
export type Parse = (texts: readonly YamlText[]) => Promise<readonly ParsedYaml[]>;

/**
 * A cache of parsed files. Most files do not change, and parsing a thousand mappings takes ten times as long as all
 * other work after a change.
 */
export interface ParsedFiles {
  /** Starts one load. Entries that the previous load did not use are dropped from the cache. */
  begin(): Parse;
}

/** The longest time without a pause. Parsing blocks the event loop, so the service would miss probes. */
const SLICE_MS = 25;

export function createParsedFiles(): ParsedFiles {
  let cached = new Map<string, { readonly digest: string; readonly parsed: ParsedYaml }>();
  return {
    begin() {
      const previous = cached;
      const next: typeof cached = new Map();
      cached = next;
      return async (texts) => {
        const results: ParsedYaml[] = [];
        let sliceStart = performance.now();
        for (const { text, file } of texts) {
          const digest = createHash('sha256').update(text).digest('hex');
          const entry = previous.get(file);
          const parsed = entry?.digest === digest ? entry.parsed : parseYaml(text, file);
          next.set(file, { digest, parsed });
          results.push(parsed);
          if (performance.now() - sliceStart < SLICE_MS) continue;
          await nextTurn();
          sliceStart = performance.now();
        }
        return results;
      };
    },
  };
}
