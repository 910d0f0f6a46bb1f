import { join } from 'node:path';
import { isFolder, namesIn } from '../../core/folders.ts';
import type { JsonObject } from '../../core/json.ts';
import { type LabelSelector, selects } from '../../core/label-selector.ts';
import { compareText, isNamespaceName, isSecretName } from '../../core/target.ts';
import { objectIn } from '../json.ts';
import { stringMapIn } from '../manifest.ts';
import { directoryUnavailable, readWithMtime } from './disk.ts';
import { parseYaml } from './file.ts';

const YAML = '.yaml';

/** https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/**
 * Returns the sorted names of the Secrets in a namespace's folder. Empty if the folder does not exist. Manifests of
 * other kinds are skipped.
 */
export async function secretsIn(root: string, namespace: string): Promise<readonly string[]> {
  const manifests = await manifestsIn(join(root, namespace), isSecretName);
  const secrets = [...manifests].filter(([, manifest]) => manifest.kind === 'Secret');
  return secrets.map(([name]) => name).sort(compareText);
}

/**
 * Returns the sorted names of the namespaces that the selector matches and that are not terminating. A namespace is a
 * folder, a manifest `PATH/<name>.yaml` of kind Namespace, or both. The manifest can set labels. As in Kubernetes, each
 * namespace also has a label with its own name.
 */
export async function namespacesIn(root: string, selector: LabelSelector): Promise<readonly string[]> {
  const manifests = await manifestsIn(root, isNamespaceName);
  const namespaceManifests = new Map([...manifests].filter(([, { kind }]) => kind === 'Namespace'));
  const names = (await namesIn(root)).filter(isNamespaceName);
  const folders = await Promise.all(names.map((name) => isFolder(join(root, name))));
  const all = new Set([...names.filter((_, n) => folders[n]), ...namespaceManifests.keys()]);
  const selected = [...all].filter((name) => {
    const metadata = metadataOf(namespaceManifests.get(name), name, root);
    const labels = new Map([...Object.entries(metadata.labels), [NAME_LABEL, name]]);
    return selects(selector, labels) && !metadata.ending;
  });
  return selected.sort(compareText);
}

function metadataOf(manifest: JsonObject | undefined, name: string, root: string) {
  const metadata = objectIn(manifest ?? {}, 'metadata') ?? { name };
  const labels = stringMapIn(metadata, 'labels');
  if (labels !== undefined && metadata.name === name)
    return { labels, ending: metadata.deletionTimestamp !== undefined };
  const file = join(root, name + YAML);
  throw directoryUnavailable(`${file} is not a manifest of this namespace`, { file });
}

/**
 * Returns the manifests in a folder by file name, without `.yaml`. Throws for a file that cannot be parsed, because the
 * file could be one of the manifests that the caller needs.
 */
async function manifestsIn(
  folder: string,
  isName: (name: string) => boolean,
): Promise<ReadonlyMap<string, JsonObject>> {
  const manifests = new Map<string, JsonObject>();
  for (const name of await namesIn(folder)) {
    const stem = name.slice(0, -YAML.length);
    const path = join(folder, name);
    if (!name.endsWith(YAML) || !isName(stem) || (await isFolder(path))) continue;
    const file = await readWithMtime(path);
    // The file may have been deleted since the folder was listed.
    if (file === undefined) continue;
    const manifest = parseYaml(file.bytes);
    if (manifest === undefined) throw directoryUnavailable(`${path} is not a manifest`, { file: path });
    manifests.set(stem, manifest);
  }
  return manifests;
}
