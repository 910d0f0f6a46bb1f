import type { Mapping } from '../core/mapping.ts';
import type { LoadResult } from './check-documents.ts';
import type { ConfigMapSource } from './files/config-maps.ts';
import { type ConfigFs, findSources, realFs } from './files/files.ts';
import type { YamlText } from './files/parse-texts.ts';
import { createParsedFiles, type Parse, type ParsedFiles } from './files/parsing.ts';
import { readDocuments } from './files/read.ts';
import type { FilesInForce } from './includes.ts';
import type { Problem } from './problem.ts';

export interface LoadOptions {
  /** Files and folders from `--config`, in the order of the command line. */
  readonly paths: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly readFs?: ConfigFs;
  /** A cache, so that unchanged files are not parsed again. Without it, everything is parsed. */
  readonly parsed?: ParsedFiles;
  /** The versions of included files that are in force. An included file that is invalid now keeps its version. */
  readonly inForce?: FilesInForce;
  /** The mappings in force. A mapping that has not changed is the same object in the result. */
  readonly mappings?: readonly Mapping[] | undefined;
  /** Whether to warn of environment variables and files that are missing here. */
  readonly warnsOfMissing?: true;
  /** Selects the ConfigMaps that `readFs` shows. Without it, ConfigMaps are left out. */
  readonly configMaps?: ConfigMapSource | undefined;
  /** Loads code that the command needs after the load, while another thread parses long files. */
  readonly meanwhile?: () => Promise<unknown>;
}

/** Reads, merges and checks the configuration. Reports all problems in one result. */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const { paths, env, cwd, readFs = realFs, parsed = createParsedFiles() } = options;
  const { inForce = new Map(), mappings = [], configMaps, meanwhile, warnsOfMissing } = options;
  const load = parsed.begin();
  const texts = async (all: readonly YamlText[], tenant?: string) => {
    const [results] = await Promise.all([load.texts(all, tenant), loadChecks(), meanwhile?.()]);
    return results;
  };
  const parse: Parse = {
    texts,
    claims: load.claims,
    known: (source, tenant) => load.known(source, tenant),
    keep: (file, tenant) => load.keep(file, tenant),
    entries: (entries) => load.entries(entries),
  };
  const reading = { fs: readFs, parse };
  const sources = await findSources({ paths, env, cwd, fs: readFs });
  const main = await readDocuments(sources.files, reading);
  const { checkDocuments } = await loadChecks();
  const here = warnsOfMissing ? env : undefined;
  return checkDocuments(main, {
    ...{ ...reading, sources, configMaps, home: env.HOME },
    ...{ inForce, mappings, here },
  });
}

/** Import lazily, because the schema and the checks take a fifth of a second to load. */
const loadChecks = () => import('./check-documents.ts');

/** Checks a text as if it were the only configuration file. */
export async function validateText(
  text: string,
  { env, cwd }: Pick<LoadOptions, 'env' | 'cwd'>,
): Promise<readonly Problem[]> {
  const bytes = Buffer.from(text);
  const readFs: ConfigFs = {
    staysInFolder: async () => true,
    stat: async () => ({ isFile: () => true, isDirectory: () => false, size: bytes.length }),
    readdir: async () => [],
    readFile: async () => bytes,
  };
  return (await loadConfig({ paths: ['secretbridge.yaml'], env, cwd, readFs })).problems;
}
