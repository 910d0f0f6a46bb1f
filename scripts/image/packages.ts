import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A package that the program needs at run time. */
export interface RuntimePackage {
  /** The install path, such as `node_modules/pino`. */
  readonly path: string;
  readonly name: string;
  readonly version: string;
  readonly license: string | undefined;
}

interface LockEntry {
  readonly version?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly optional?: boolean;
}

/**
 * Returns the installed packages of `package-lock.json`, sorted by path. Development packages, and optional packages
 * for other platforms, are left out.
 *
 * @throws Error when the installed packages differ from the lock file.
 */
export async function runtimePackages(root: string): Promise<readonly RuntimePackage[]> {
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  const found: RuntimePackage[] = [];
  for (const [path, entry] of Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (path === '' || entry.dev || entry.devOptional) continue;
    const manifest = await manifestOf(join(root, path));
    if (manifest === undefined) {
      if (entry.optional) continue;
      throw new Error(`${path} is not installed: run \`npm ci\``);
    }
    if (manifest.version !== entry.version)
      throw new Error(
        `${path} is ${manifest.version} and not ${entry.version} as package-lock.json says: run \`npm ci\``,
      );
    found.push({ path, ...manifest });
  }
  return found;
}

/** Returns an installed package. @throws Error if the package is not installed */
export async function packageAt(root: string, path: string): Promise<RuntimePackage> {
  const manifest = await manifestOf(join(root, path));
  if (manifest === undefined) throw new Error(`${path} is not installed: run \`npm ci\``);
  return { path, ...manifest };
}

async function manifestOf(folder: string): Promise<Omit<RuntimePackage, 'path'> | undefined> {
  try {
    const text = await readFile(join(folder, 'package.json'), 'utf8');
    const { name, version, license } = JSON.parse(text) as {
      name: string;
      version: string;
      license?: unknown;
    };
    return { name, version, license: typeof license === 'string' ? license : undefined };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Returns a bill of materials of these packages (CycloneDX 1.6, JSON). The same packages produce the same text. */
export function billOfMaterials(version: string, packages: readonly RuntimePackage[]): string {
  const components = packages.map((one) => ({
    type: 'library',
    'bom-ref': one.path,
    name: one.name,
    version: one.version,
    // The package URL specification requires an encoded `@` in the scope.
    purl: `pkg:npm/${one.name.replace(/^@/, '%40')}@${one.version}`,
    ...(one.license === undefined ? {} : { licenses: [licenseOf(one.license)] }),
  }));
  const component = { type: 'application', 'bom-ref': 'secretbridge', name: 'secretbridge', version };
  const bom = { bomFormat: 'CycloneDX', specVersion: '1.6', version: 1, metadata: { component }, components };
  return `${JSON.stringify(bom, null, 2)}\n`;
}

/** An SPDX license id, or an SPDX expression. */
function licenseOf(license: string): object {
  return /[ ()]/.test(license) ? { expression: license } : { license: { id: license } };
}
