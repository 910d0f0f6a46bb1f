import type { ConfigFs } from '../config/files.ts';
import { loadConfig } from '../config/load.ts';
import type { Problem } from '../config/problem.ts';
import type { Context } from './context.ts';

/** What `validate` would say of a configuration that is not written yet. */
export async function problemsOf(
  text: string,
  { env, cwd }: Pick<Context, 'env' | 'cwd'>,
): Promise<readonly Problem[]> {
  const bytes = Buffer.from(text);
  const readFs: ConfigFs = {
    stat: async () => ({ isFile: () => true, isDirectory: () => false, size: bytes.length }),
    readdir: async () => [],
    readFile: async () => bytes,
  };
  return (await loadConfig({ paths: ['secretbridge.yaml'], env, cwd, readFs })).problems;
}
