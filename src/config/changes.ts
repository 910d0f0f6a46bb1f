import { createHash } from 'node:crypto';
import { DURATION_UNITS } from '../core/clock.ts';
import { type FieldChange, isObject } from '../core/json.ts';
import { compareText } from '../core/target.ts';
import type { Config } from './config.ts';

/** The maximum length of a value. Records must stay small. */
const MAX_VALUE = 160;

/**
 * Returns the changed fields, with short texts as values, sorted by path. A configuration contains no secret values, only references to them.
 * @param before A configuration, or the result of `configText`.
 */
export function configChanges(before: Config | string, after: Config): readonly FieldChange[] {
  const [old, now] = [before, after].map((config): unknown =>
    JSON.parse(typeof config === 'string' ? config : configText(config)),
  );
  const changes: FieldChange[] = [];
  compare('', old, now, changes);
  return changes.sort((a, b) => compareText(a.path, b.path));
}

const hashes = new WeakMap<Config, string>();

/** Returns the SHA-256 of `configText` in hex. */
export function configHash(config: Config): string {
  const hash = hashes.get(config) ?? textHash(configText(config));
  hashes.set(config, hash);
  return hash;
}

export function textHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Returns the configuration as JSON. It does not depend on the files, or on the order of the entries. */
export function configText(config: Config): string {
  return sortedJson(comparable(config));
}

/** Returns the parts that have an effect. Their entries are members by name, so that their order does not matter. */
function comparable({ includes, bounds, ...config }: Config): object {
  return {
    ...config,
    bounds: Object.fromEntries(bounds),
    include: Object.fromEntries(includes.map(({ path, state }) => [path, state])),
  };
}

function compare(path: string, before: unknown, after: unknown, changes: FieldChange[]): void {
  if (Object.is(before, after)) return;
  const [old, now] = [membersOf(before), membersOf(after)];
  if (old === undefined || now === undefined || path.split('.').length > MAX_DEPTH) {
    if (sortedJson(before) !== sortedJson(after)) changes.push(changeOf(path, before, after));
    return;
  }
  for (const name of new Set([...Object.keys(old), ...Object.keys(now)]))
    compare(path === '' ? name : `${path}.${name}`, old[name], now[name], changes);
}

const MAX_DEPTH = 16;

/** Files have durations as text, such as `5m`. The configuration has them in milliseconds. */
const DURATION_FIELD = /Ms$/;

function changeOf(path: string, before: unknown, after: unknown): FieldChange {
  const isDuration = DURATION_FIELD.test(path);
  const shown = (value: unknown) =>
    isDuration && typeof value === 'number' ? duration(value) : textOf(value);
  const [oldText, newText] = [shown(before), shown(after)];
  return {
    path: isDuration ? path.replace(DURATION_FIELD, '') : path,
    ...(oldText === undefined ? {} : { before: oldText }),
    ...(newText === undefined ? {} : { after: newText }),
  };
}

function duration(ms: number): string {
  const [unit, size] = DURATION_UNITS.find(([, unitMs]) => ms % unitMs === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}

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
