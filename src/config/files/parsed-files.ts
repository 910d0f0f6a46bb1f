import { createHash } from 'node:crypto';
import { type Packed, pack, unpack } from './packed.ts';
import { type Parse, type Parsing, parseTexts, type YamlText } from './parsing.ts';

/**
 * A cache of parsed files. Most files do not change, and parsing a thousand mappings takes ten times as long as all
 * other work after a change.
 */
export interface ParsedFiles {
  /** Starts one load. Entries that the previous load did not use are dropped from the cache. */
  begin(): Parse;
}

interface CachedFile {
  readonly digest: string;
  readonly packed: Packed;
}

export function createParsedFiles(): ParsedFiles {
  let cached = new Map<string, CachedFile>();
  return {
    begin() {
      const before = cached;
      const next = new Map<string, CachedFile>();
      cached = next;
      const keep = (file: string, digest: string, { parsed, packed = pack(parsed) }: Parsing): void => {
        if (packed !== undefined) next.set(file, { digest, packed });
      };
      const fromCache = ({ file }: YamlText, digest: string): Parsing | undefined => {
        const entry = before.get(file);
        if (entry?.digest !== digest) return undefined;
        return { packed: entry.packed, parsed: unpack(entry.packed, file) };
      };
      return async (texts, meanwhile) => {
        const digests = texts.map(({ text }) => createHash('sha256').update(text).digest('hex'));
        const hits = texts.map((yamlText, index) => fromCache(yamlText, digests[index] ?? ''));
        const fresh = texts.filter((_, index) => hits[index] === undefined);
        const parsings = (await parseTexts(fresh, { meanwhile })).values();
        return texts.flatMap(({ file }, index) => {
          const parsing = hits[index] ?? parsings.next().value;
          if (parsing === undefined) return [];
          keep(file, digests[index] ?? '', parsing);
          return [parsing.parsed];
        });
      };
    },
  };
}
