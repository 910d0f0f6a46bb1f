import { member, parseIfJson, textOf } from '../../core/json.ts';
import type { VaultConfig } from './config.ts';

/** The path segments that can follow the mount in key/value version 2. */
const PATH_PREFIXES = ['data', 'metadata', 'delete', 'undelete', 'destroy'];

/**
 * Returns the key of an event (https://developer.hashicorp.com/vault/docs/concepts/events). Returns undefined for an
 * event of another mount, an event without a key, or an unknown event.
 */
export function keyOfEvent({ mount, namespace, kvVersion }: VaultConfig, text: string): string | undefined {
  const data = member(parseIfJson(text), 'data');
  if (textOf(member(data, 'event_type'))?.startsWith(`kv-v${kvVersion}/`) !== true) return undefined;
  const mountPath = textOf(member(data, 'plugin_info', 'mount_path'));
  if (mountPath !== undefined && mountPath !== `${mount}/`) return undefined;
  // Older servers put the metadata next to the event. Their metadata has no `data_path` if no data was written.
  const metadata = member(data, 'event', 'metadata') ?? member(data, 'metadata');
  const path = textOf(member(metadata, 'data_path')) ?? textOf(member(metadata, 'path'));
  const below =
    path === undefined ? undefined : stripPrefix(path, [`${mount}/`, `${namespace ?? ''}/${mount}/`]);
  if (below === undefined) return undefined;
  const key =
    kvVersion === 1
      ? below
      : stripPrefix(
          below,
          PATH_PREFIXES.map((area) => `${area}/`),
        );
  return key === '' ? undefined : key;
}

function stripPrefix(path: string, prefixes: readonly string[]): string | undefined {
  const prefix = prefixes.find((candidate) => path.startsWith(candidate));
  return prefix === undefined ? undefined : path.slice(prefix.length);
}
