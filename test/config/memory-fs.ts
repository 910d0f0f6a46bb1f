import type { LoadResult } from '../../src/config/check-documents.ts';
import type { ConfigFs } from '../../src/config/files/files.ts';
import { loadConfig } from '../../src/config/load.ts';

type Content = string | Uint8Array | { readonly fails: string } | { readonly pipe: true };

/**
 * Files by absolute path. Their paths imply the folders. If a file has `fails`, reading this file fails with that error
 * code.
 */
export function memoryFs(files: Readonly<Record<string, Content>>): ConfigFs {
  const error = (code: string) => Object.assign(new Error(code), { code });
  const isFolder = (path: string) => Object.keys(files).some((name) => name.startsWith(`${path}/`));
  const get = (path: string): Content => {
    const content = files[path];
    if (content === undefined) throw error(isFolder(path) ? 'EISDIR' : 'ENOENT');
    if (typeof content === 'object' && 'fails' in content) throw error(content.fails);
    return content;
  };
  return {
    async stat(path) {
      if (files[path] === undefined && isFolder(path))
        return { isFile: () => false, isDirectory: () => true, size: 0 };
      const content = get(path);
      const pipe = typeof content === 'object' && 'pipe' in content;
      const size = pipe ? 0 : Buffer.byteLength(content as string | Uint8Array);
      return { isFile: () => !pipe, isDirectory: () => false, size };
    },
    async readdir(path) {
      const inside = Object.keys(files).filter((name) => name.startsWith(`${path}/`));
      return [...new Set(inside.map((name) => name.slice(path.length + 1).split('/')[0] ?? ''))];
    },
    staysInFolder: async () => true,
    async readFile(path) {
      return Buffer.from(get(path) as string | Uint8Array);
    },
  };
}

/** Loads the given paths, or `/home/ann/secretbridge.yaml` by default. */
export function load(
  files: Readonly<Record<string, Content>>,
  ...paths: readonly string[]
): Promise<LoadResult> {
  return loadConfig({ paths, env: {}, cwd: '/home/ann', readFs: memoryFs(files) });
}

export function loadText(text: string | Uint8Array): Promise<LoadResult> {
  return load({ '/home/ann/secretbridge.yaml': text });
}

/** Returns one line for each problem: `line:column path CODE: message — suggestion`. */
export function linesOf({ problems }: LoadResult): readonly string[] {
  return problems.map(
    ({ line, column, path, code, message, suggestion }) =>
      `${line}:${column} ${path} ${code}: ${message}${suggestion === undefined ? '' : ` — ${suggestion}`}`,
  );
}

export const HEAD = 'apiVersion: secretbridge.dev/v1\ninstance: prod\n';

/** A valid file with one store and one mapping, followed by more lines. */
export const VALID = `${HEAD}stores:
  - name: team-vault
    kind: vault
    address: https://vault.internal:8200
    auth: { method: token, token: { env: VAULT_TOKEN } }
  - { name: local, kind: files, path: ./secrets }
mappings:
  - name: payments-db
    target: { namespace: payments }
    data:
      DB_PASSWORD: { store: team-vault, key: payments/db, property: password }
`;
