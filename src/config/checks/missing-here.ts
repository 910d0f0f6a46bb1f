import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { codeOf } from '../../core/system-errors.ts';
import { Reference } from '../../providers/credentials.ts';
import type { Config } from '../config.ts';
import { isFreeForm } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { type Path, type Place, type Problem, quoted, toProblem } from '../problem.ts';
import { absolutePath, type ResolveDeps } from '../resolve.ts';

export interface MissingHereDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly paths: ResolveDeps;
  readonly audit: Pick<Config['audit'], 'store'>;
}

interface Named extends Place {
  readonly path: Path;
  readonly kind: 'variable' | 'file' | 'folder';
  readonly name: string;
}

/** Sections without credentials, which may be long. */
const WITHOUT_CREDENTIALS: ReadonlySet<string> = new Set(['access', 'include', 'mappings']);

/**
 * Returns a warning for each environment variable, file and folder that the configuration names and that does not exist
 * here. They may exist where the service runs.
 */
export async function findMissingHere(root: Located, deps: MissingHereDeps): Promise<readonly Problem[]> {
  const named: Named[] = [];
  collect(root, [], named);
  const warnings = await Promise.all(named.map((one) => warningFor(one, deps)));
  return warnings.flatMap((warning) => warning ?? []);
}

function collect(node: Located, path: Path, named: Named[]): void {
  const reference = Reference.safeParse(node.value).data;
  if (reference !== undefined) {
    if ('env' in reference) named.push({ ...node.place, path, kind: 'variable', name: reference.env });
    else if ('file' in reference) named.push({ ...node.place, path, kind: 'file', name: reference.file });
    return;
  }
  for (const [index, item] of (node.items ?? []).entries()) collect(item, [...path, index], named);
  for (const [name, { node: member }] of node.members ?? []) {
    if (isFreeForm(name) || (path.length === 0 && WITHOUT_CREDENTIALS.has(name))) continue;
    const inner = [...path, name];
    const isFile = /^[a-z]+File$/.test(name) || name === 'kubeconfig';
    const isFolder = inner.length === 3 && inner[0] === 'stores' && name === 'path';
    if (typeof member.value === 'string' && (isFile || isFolder))
      named.push({ ...member.place, path: inner, kind: isFile ? 'file' : 'folder', name: member.value });
    else collect(member, inner, named);
  }
}

async function warningFor(
  { path, kind, name, ...place }: Named,
  { env, paths, audit }: MissingHereDeps,
): Promise<Problem | undefined> {
  const warning = (code: Problem['code'], message: string) => toProblem({ path, code, message }, place);
  if (kind === 'variable') {
    if (env[name]) return undefined;
    // Another text may be the credential itself, written in the wrong place.
    const shown = /^[A-Z][A-Z0-9_]*$/.test(name) ? ` ${quoted(name)}` : '';
    return warning('CREDENTIAL_MISSING', `the environment variable${shown} is not set here`);
  }
  if (path[0] === 'keys' && (path[2] ?? 0) === 0 && audit.store.kind === 'sqlite') return undefined; // Created on first use.
  const folder = dirname(paths.absolute(place.file));
  if (await exists(absolutePath(name, folder, paths.home))) return undefined;
  const shown = name.includes('/') ? ` ${quoted(name)}` : '';
  return warning(
    kind === 'file' ? 'CREDENTIAL_MISSING' : 'STORE_UNAVAILABLE',
    `the ${kind}${shown} does not exist here`,
  );
}

/** A path that cannot be examined may exist. */
async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === undefined) throw error;
    return code !== 'ENOENT' && code !== 'ENOTDIR';
  }
}
