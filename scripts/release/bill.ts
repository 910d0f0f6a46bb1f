import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Architecture } from '../image/build.ts';
import { blobPath, type Descriptor, type Index, type Manifest, readBlob } from '../image/layout.ts';
import { runCommand } from './commands.ts';

interface Component {
  readonly type: string;
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

interface Bill {
  readonly metadata: object;
  readonly components: readonly Component[];
}

/** Matches the bill of materials of the program, and the lists of Debian packages of slim and distroless images. */
const FILES = /^(\.\/)?(app\/sbom\.cdx\.json|var\/lib\/dpkg\/(status|status\.d\/[^/]+))$/;

/**
 * Creates a bill of materials (CycloneDX 1.6, JSON) of the image of one architecture: the packages of npm, Node, and
 * the packages of Debian. The same image produces the same text.
 */
export async function createBill(
  layout: string,
  index: Descriptor,
  { architecture, nodeVersion, work }: { architecture: Architecture; nodeVersion: string; work: string },
): Promise<string> {
  const { manifests } = await readBlob<Index>(layout, index);
  const image = manifests.find(({ platform }) => platform?.architecture === architecture);
  if (image === undefined) throw new Error(`the image has no platform ${architecture}`);
  const folder = join(work, `bill-${architecture}`);
  await extract(layout, image, folder);
  const program = JSON.parse(await readFile(join(folder, 'app/sbom.cdx.json'), 'utf8')) as Bill;
  const node = {
    ...{ type: 'platform', 'bom-ref': 'node', name: 'node', version: nodeVersion },
    ...{
      purl: `pkg:generic/node@${nodeVersion}`,
      cpe: `cpe:2.3:a:nodejs:node.js:${nodeVersion}:*:*:*:*:*:*:*`,
    },
  };
  const components = [...program.components, node, ...(await debianPackages(folder, architecture))];
  return `${JSON.stringify({ ...program, components }, null, 2)}\n`;
}

/** Extracts the files with package lists from the layers. A later layer replaces the files of an earlier layer. */
async function extract(layout: string, image: Descriptor, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { layers } = await readBlob<Manifest>(layout, image);
  for (const { digest } of layers) {
    const layer = blobPath(layout, digest);
    const names = (await runCommand('tar', ['-tzf', layer])).split('\n').filter((name) => FILES.test(name));
    if (names.length > 0) await runCommand('tar', ['-xzf', layer, '-C', folder, ...names]);
  }
}

async function debianPackages(folder: string, architecture: Architecture): Promise<readonly Component[]> {
  const database = join(folder, 'var/lib/dpkg');
  const paths = await filesIn(database);
  const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')));
  const components = texts
    .flatMap((text) => text.split(/\n{2,}/))
    .flatMap((entry) => {
      const field = (key: string) => new RegExp(`^${key}: (.+)$`, 'm').exec(entry)?.[1];
      const [name, version] = [field('Package'), field('Version')];
      if (name === undefined || version === undefined) return [];
      // The files of a removed package can leave an entry.
      if (!(field('Status') ?? 'installed').endsWith('installed')) return [];
      const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${field('Architecture') ?? architecture}`;
      return [{ type: 'library', 'bom-ref': `debian/${name}`, name, version, purl }];
    });
  return components.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

async function filesIn(database: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(database, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    // The base image has no package list.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  }
}
