import { join } from 'node:path';
import { isFolder, namesIn } from '../../core/folders.ts';
import type { JsonObject } from '../../core/json.ts';
import { isNamespaceName, isSecretName } from '../../core/kubernetes-names.ts';
import { compareText } from '../../core/target.ts';
import { objectIn } from '../json.ts';
import { textsIn } from '../manifest.ts';
import { readWithTime, unusable } from './disk.ts';
import { parseYaml } from './file.ts';

const YAML = '.yaml';

/** https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-metadata-name */
const NAME_LABEL = 'kubernetes.io/metadata.name';

/** The names of the Secrets in a namespace's folder, sorted; none if there is no folder. Other manifests are passed over. */
export async function secretsIn(root: string, namespace: string): Promise<readonly string[]> {
  const found = await manifestsIn(join(root, namespace), isSecretName);
  const secrets = [...found].filter(([, manifest]) => manifest.kind === 'Secret');
  return secrets.map(([name]) => name).sort(compareText);
}

/**
 * The namespaces that carry all these labels and are not ending, sorted. A namespace is a folder, or a manifest
 * `PATH/<name>.yaml` of kind Namespace, or both; the manifest can give it labels. As in Kubernetes, its name is one.
 */
export async function namespacesIn(
  root: string,
  matchLabels: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const manifests = await manifestsIn(root, isNamespaceName);
  const noted = new Map([...manifests].filter(([, { kind }]) => kind === 'Namespace'));
  const names = (await namesIn(root)).filter(isNamespaceName);
  const folders = await Promise.all(names.map((name) => isFolder(join(root, name))));
  const all = new Set([...names.filter((_, n) => folders[n]), ...noted.keys()]);
  const selected = [...all].filter((name) => {
    const metadata = metadataOf(noted.get(name), name, root);
    const labels = new Map([...Object.entries(metadata.labels), [NAME_LABEL, name]]);
    const matches = Object.entries(matchLabels).every(([label, value]) => labels.get(label) === value);
    return matches && !metadata.ending;
  });
  return selected.sort(compareText);
}

function metadataOf(manifest: JsonObject | undefined, name: string, root: string) {
  const metadata = objectIn(manifest ?? {}, 'metadata') ?? { name };
  const labels = textsIn(metadata, 'labels');
  if (labels !== undefined && metadata.name === name)
    return { labels, ending: metadata.deletionTimestamp !== undefined };
  const file = join(root, name + YAML);
  throw unusable(`${file} is not a manifest of this namespace`, { file });
}

/** Name to manifest. What cannot be parsed could be what is looked for, so it is an error. */
async function manifestsIn(
  folder: string,
  isName: (name: string) => boolean,
): Promise<ReadonlyMap<string, JsonObject>> {
  const found = new Map<string, JsonObject>();
  for (const name of await namesIn(folder)) {
    const stem = name.slice(0, -YAML.length);
    const path = join(folder, name);
    if (!name.endsWith(YAML) || !isName(stem) || (await isFolder(path))) continue;
    const file = await readWithTime(path);
    // It may have gone meanwhile.
    if (file === undefined) continue;
    const manifest = parseYaml(file.bytes);
    if (manifest === undefined) throw unusable(`${path} is not a manifest`, { file: path });
    found.set(stem, manifest);
  }
  return found;
}
