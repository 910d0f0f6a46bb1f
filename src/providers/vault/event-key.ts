import { member, parseIfJson, textOf } from '../../core/json.ts';
import type { VaultConfig } from './config.ts';

/** What follows the mount in the paths of version 2. */
const AREAS = ['data', 'metadata', 'delete', 'undelete', 'destroy'];

/**
 * The key that an event is about: https://developer.hashicorp.com/vault/docs/concepts/events. Undefined: it is of
 * another mount, of no key, or nothing that we know.
 */
export function keyOfEvent({ mount, namespace, kvVersion }: VaultConfig, text: string): string | undefined {
  const data = member(parseIfJson(text), 'data');
  if (textOf(member(data, 'event_type'))?.startsWith(`kv-v${kvVersion}/`) !== true) return undefined;
  const mountPath = textOf(member(data, 'plugin_info', 'mount_path'));
  if (mountPath !== undefined && mountPath !== `${mount}/`) return undefined;
  // Older servers have the metadata beside the event, and no `data_path` where none was written to.
  const metadata = member(data, 'event', 'metadata') ?? member(data, 'metadata');
  const path = textOf(member(metadata, 'data_path')) ?? textOf(member(metadata, 'path'));
  const below = path === undefined ? undefined : after(path, [`${mount}/`, `${namespace ?? ''}/${mount}/`]);
  if (below === undefined) return undefined;
  const key =
    kvVersion === 1
      ? below
      : after(
          below,
          AREAS.map((area) => `${area}/`),
        );
  return key === '' ? undefined : key;
}

function after(path: string, prefixes: readonly string[]): string | undefined {
  const prefix = prefixes.find((one) => path.startsWith(one));
  return prefix === undefined ? undefined : path.slice(prefix.length);
}
