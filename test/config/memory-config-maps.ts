import { type Content, configMapFiles, type Folders, kept } from '../../src/app/config-maps/folders.ts';
import type { LoadResult } from '../../src/config/check-documents.ts';
import type { Selection } from '../../src/config/files/config-maps.ts';
import { type LoadOptions, loadConfig } from '../../src/config/load.ts';
import type { AppError } from '../../src/core/errors.ts';
import { memoryFs } from './memory-fs.ts';

export interface MemoryConfigMap {
  readonly data?: Readonly<Record<string, string>>;
  readonly binaryKeys?: readonly string[];
}

/** ConfigMaps by `<namespace>/<name>`. A text is the content of `mappings.yaml`. Each selector matches all of them. */
export type MemoryConfigMaps = Record<string, string | MemoryConfigMap>;

const MAIN = '/home/ann/secretbridge.yaml';

/** @param failing The namespaces that cannot be listed. With `*`, the namespaces cannot be found. */
export function memoryFolders(
  maps: MemoryConfigMaps,
  failing: Readonly<Record<string, AppError>> = {},
): Folders {
  const folders = new Map<string, Map<string, Content>>();
  for (const [key, map] of Object.entries(maps)) {
    const [namespace = '', name = ''] = key.split('/');
    const { data = {}, binaryKeys = [] } = typeof map === 'string' ? { data: { 'mappings.yaml': map } } : map;
    const texts = new Map(Object.entries(data));
    const { content } = kept({ namespace, name, uid: 'u', data: texts, binaryKeys });
    folders.set(namespace, (folders.get(namespace) ?? new Map<string, Content>()).set(name, content));
  }
  return {
    namespaces() {
      if (failing['*'] !== undefined) throw failing['*'];
      return [...new Set([...folders.keys(), ...Object.keys(failing)])];
    },
    folder: (_, namespace) => ({
      error: failing[namespace],
      contents: folders.get(namespace) ?? new Map<string, Content>(),
    }),
  };
}

export interface LoadedMaps {
  readonly loaded: LoadResult;
  readonly selections: readonly Selection[];
}

/** Loads a main file together with ConfigMaps. */
export async function loadMaps(
  main: string,
  folders: Folders,
  options: Partial<LoadOptions> = {},
): Promise<LoadedMaps> {
  const selections: Selection[] = [];
  const loaded = await loadConfig({
    ...{ paths: [], env: {}, cwd: '/home/ann' },
    readFs: configMapFiles(memoryFs({ [MAIN]: main }), folders),
    configMaps: { select: async (_, all) => void selections.push(...all) },
    ...options,
  });
  return { loaded, selections };
}
