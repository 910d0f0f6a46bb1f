import { member, parseIfJson, textOf } from '../../core/json.ts';
import type { VaultConfig } from './config.ts';

/** The path segment after the mount in version 2. */
const PATH_PREFIXES = ['data', 'metadata', 'delete', 'undelete', 'destroy'];

/**
 * The key of an event: https://developer.hashicorp.com/vault/docs/concepts/events. Undefined for another mount, an
 * event without a key, or an unknown event.
 */
export function keyOfEvent({ mount, namespace, kvVersion }: VaultConfig, text: string): string | undefined {
  const data = member(parseIfJson(text), 'data');
  if (textOf(member(data, 'event_type'))?.startsWith(`kv-v${kvVersion}/`) !== true) return undefined;
  const mountPath = textOf(member(data, 'plugin_info', 'mount_path'));
  if (mountPath !== undefined && mountPath !== `${mount}/`) return undefined;
  // Older servers put the metadata next to the event, and omit `data_path` if nothing was written there.
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
