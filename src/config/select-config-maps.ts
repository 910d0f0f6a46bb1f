import type { Config } from './config.ts';
import { type ConfigMapSource, parseShown, type Selection } from './files/config-maps.ts';
import { maxBytesOf } from './files/include.ts';
import { listOf } from './files/raw.ts';
import type { Located } from './files/yaml.ts';
import type { SettledIncludes } from './includes.ts';
import { type ResolveDeps, resolveCluster } from './resolve.ts';
import { Cluster } from './shape/backends.ts';
import { Include } from './shape/include.ts';

/** Prepares the ConfigMaps that the `include` section selects. Returns whether the file system shows them. */
export async function selectConfigMaps(
  root: Located,
  configMaps: ConfigMapSource | undefined,
  paths: ResolveDeps,
): Promise<boolean> {
  if (configMaps === undefined) return false;
  const { cluster = { kind: 'kubernetes' } } = root.value as Readonly<Record<string, unknown>>;
  const { data } = Cluster.safeParse(cluster);
  if (data === undefined) return false;
  await configMaps.select(resolveCluster(data, root, paths), selectionsIn(root));
  return data.kind === 'kubernetes';
}

/** Returns what the `include` section selects. */
function selectionsIn(root: Located): readonly Selection[] {
  return listOf(root, 'include').flatMap((entry) => {
    const rule = Include.safeParse(entry).data;
    if (rule?.configMaps === undefined) return [];
    return [{ selector: rule.configMaps, namespaces: rule.namespaces, maxBytes: maxBytesOf(rule) }];
  });
}

/** Returns the ConfigMap of each mapping that comes from one, and the ConfigMaps that get annotations. */
export function configMapsOf({
  mappings,
  withStatus,
}: SettledIncludes): Pick<Config, 'configMapOf' | 'withStatus'> {
  const places = new Map<string, string>();
  for (const { mapping, node } of mappings) {
    const { file } = node.place;
    if (parseShown(file) !== undefined) places.set(mapping.name, file);
  }
  return {
    ...(places.size === 0 ? {} : { configMapOf: places }),
    ...(withStatus.size === 0 ? {} : { withStatus }),
  };
}
