import { createHash } from 'node:crypto';
import { isObject } from '../core/json.ts';
import { compareText } from '../core/target.ts';
import type { Config } from './config.ts';

/** A changed field. The values are short texts. `before` is absent for a new field, and `after` for a removed field. */
export interface ConfigChange {
  /** For example `mappings.payments-db.data.USER.key`. */
  readonly path: string;
  readonly before?: string;
  readonly after?: string;
}

/** The maximum length of a value. Records must stay small. */
const MAX_VALUE = 160;

/** Returns the changed fields, sorted by path. A configuration contains no secret values, only references to them. */
export function configChanges(before: Config, after: Config): readonly ConfigChange[] {
  const changes: ConfigChange[] = [];
  compare('', comparable(before), comparable(after), changes);
  return changes.sort((a, b) => compareText(a.path, b.path));
}

const hashes = new WeakMap<Config, string>();

/** Returns the SHA-256 of the configuration in hex. It does not depend on the files, or on the order of the entries. */
export function configHash(config: Config): string {
  const hash =
    hashes.get(config) ??
    createHash('sha256')
      .update(sortedJson(comparable(config)))
      .digest('hex');
  hashes.set(config, hash);
  return hash;
}

/** Returns the parts that have an effect. Their entries are members by name, so that their order does not matter. */
function comparable({ places: _, includes, bounds, ...config }: Config): object {
  return {
    ...config,
    bounds: Object.fromEntries(bounds),
    include: Object.fromEntries(includes.map(({ path, state }) => [path, state])),
  };
}

function compare(path: string, before: unknown, after: unknown, changes: ConfigChange[]): void {
  if (Object.is(before, after)) return;
  const [old, now] = [membersOf(before), membersOf(after)];
  if (old === undefined || now === undefined || path.split('.').length > MAX_DEPTH) {
    const [oldText, newText] = [textOf(before), textOf(after)];
    if (sortedJson(before) !== sortedJson(after))
      changes.push({
        path,
        ...(oldText === undefined ? {} : { before: oldText }),
        ...(newText === undefined ? {} : { after: newText }),
      });
    return;
  }
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)]))
    compare(path === '' ? name : `${path}.${name}`, old[name], now[name], changes);
}

const MAX_DEPTH = 16;

/** Returns the members of an object, or the entries of a list by their names or numbers. */
function membersOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  if (!Array.isArray(value)) return isObject(value) ? value : undefined;
  return Object.fromEntries(
    value.map((entry: unknown, index): [string, unknown] => [
      isObject(entry) && typeof entry.name === 'string' ? entry.name : String(index),
      entry,
    ]),
  );
}

function textOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  const text = typeof value === 'string' ? value : sortedJson(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE).toWellFormed()}…` : text;
}

function sortedJson(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) => {
      const members = Array.isArray(part) && part.every((entry) => isObject(entry) && 'name' in entry);
      const shown = members ? membersOf(part) : part;
      return isObject(shown)
        ? Object.fromEntries(Object.entries(shown).sort(([a], [b]) => compareText(a, b)))
        : shown;
    }) ?? ''
  );
}
