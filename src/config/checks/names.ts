import type { Expectation, NameRules, StoreFields } from '../../providers/name-rules.ts';
import { nameRulesOf } from '../../providers/registry.ts';
import { locate } from '../files/merge.ts';
import { entriesOf, listOf, mappingsIn, memberOf, sourcesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { type Finding, formatPlace, type Path, quoted } from '../problem.ts';

/**
 * Checks keys, versions and searches by the rules of each store, and reports the place in the file.
 * @param root The unvalidated content of the files.
 */
export function checkStoreNames(root: Located): readonly Finding[] {
  const rules = new Map(
    listOf(root, 'stores').flatMap((store): [string, NameRules][] => {
      const name = textOf(store, 'name');
      const storeRules = nameRulesOf(textOf(store, 'kind') ?? '', store as StoreFields);
      return name === undefined || storeRules === undefined ? [] : [[name, storeRules]];
    }),
  );
  return mappingsIn(root).flatMap(([index, mapping]) =>
    sourcesIn(mapping, ['mappings', index]).flatMap(([path, source]) => {
      const storeRules = rules.get(textOf(source, 'store') ?? '');
      return storeRules === undefined ? [] : checkSource(storeRules, source, path);
    }),
  );
}

function checkSource(rules: NameRules, source: unknown, path: Path): Finding[] {
  const find = memberOf(source, 'find');
  const version = memberOf(source, 'version');
  const findings: Finding[] = [];
  const checkText = (text: unknown, rule: (text: string) => Expectation | undefined, ...at: Path) => {
    const violation = typeof text === 'string' ? rule(text) : undefined;
    if (violation !== undefined) findings.push(finding([...path, ...at], violation));
  };
  if (textOf(source, 'key') !== '') checkText(memberOf(source, 'key'), rules.key, 'key');
  if (version !== '')
    checkText(Number.isSafeInteger(version) ? String(version) : version, rules.version, 'version');
  checkText(memberOf(find, 'path'), rules.search, 'find', 'path');
  if (!rules.hasTags && entriesOf(memberOf(find, 'tags')).length > 0)
    findings.push(finding([...path, 'find', 'tags'], { expected: 'no tags: this store has none' }));
  if (!rules.hasObjects && memberOf(source, 'object') !== undefined)
    findings.push(
      finding([...path, 'object'], {
        expected: 'a store of kind `azure-key-vault`: other kinds have no `object`',
      }),
    );
  return findings;
}

function finding(path: Path, { expected, suggested }: Expectation): Finding {
  const suggestion = suggested === undefined ? {} : { suggestion: `did you mean ${quoted(suggested)}?` };
  return { path, code: 'CONFIG_INVALID', message: `expected ${expected}`, ...suggestion };
}

/** An entry with a `name`, which identifies it in audit records and metrics. */
export interface NamedEntry {
  readonly value: unknown;
  readonly path: Path;
}

/** Finds entries whose name an earlier entry already uses. Reports both places. */
export function findDuplicateNames(root: Located, entries: readonly NamedEntry[]): readonly Finding[] {
  const first = new Map<string, Path>();
  return entries.flatMap(({ value, path: entry }): Finding[] => {
    const name = textOf(value, 'name');
    if (name === undefined) return [];
    const path = [...entry, 'name'];
    const earlier = first.get(name);
    first.set(name, earlier ?? path);
    if (earlier === undefined) return [];
    const message = `the name ${quoted(name)} is used twice, first at ${formatPlace(locate(root, earlier))}`;
    return [{ path, code: 'CONFIG_INVALID', message }];
  });
}

/** Returns the entries of the list at this path that have a name. */
export function namedEntries(list: unknown, path: Path): readonly NamedEntry[] {
  return entriesOf(list).map(([index, value]) => ({ value, path: [...path, index] }));
}
