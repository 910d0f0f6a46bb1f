import { createHash } from 'node:crypto';
import { type Packed, pack, unpack } from './packed.ts';
import { type Parse, type Parsing, parseTexts, type YamlText } from './parsing.ts';

/**
 * What the files of a configuration were parsed to the last time: to parse a thousand mappings takes ten times as long
 * as everything else that is done when one of them changes, and mostly they stand in a file that did not change.
 */
export interface ParsedFiles {
  /** For one load. What the load before it did not parse is forgotten. */
  begin(): Parse;
}

interface Kept {
  readonly digest: string;
  readonly packed: Packed;
}

export function createParsedFiles(): ParsedFiles {
  let kept = new Map<string, Kept>();
  return {
    begin() {
      const before = kept;
      const now = new Map<string, Kept>();
      kept = now;
      const keep = (file: string, digest: string, { parsed, packed = pack(parsed) }: Parsing): void => {
        if (packed !== undefined) now.set(file, { digest, packed });
      };
      const recall = ({ file }: YamlText, digest: string): Parsing | undefined => {
        const known = before.get(file);
        if (known?.digest !== digest) return undefined;
        return { packed: known.packed, parsed: unpack(known.packed, file) };
      };
      return async (texts, meanwhile) => {
        const digests = texts.map(({ text }) => createHash('sha256').update(text).digest('hex'));
        const recalled = texts.map((it, index) => recall(it, digests[index] ?? ''));
        const fresh = texts.filter((_, index) => recalled[index] === undefined);
        const parsings = (await parseTexts(fresh, { meanwhile })).values();
        return texts.flatMap(({ file }, index) => {
          const parsing = recalled[index] ?? parsings.next().value;
          if (parsing === undefined) return [];
          keep(file, digests[index] ?? '', parsing);
          return [parsing.parsed];
        });
      };
    },
  };
}
