import { append } from '../../core/lists.ts';
import { isLoopback } from '../../core/loopback.ts';
import {
  entriesOf,
  isFreeForm,
  listOf,
  mappingsIn,
  memberOf,
  sourcesIn,
  storeNamesIn,
  textOf,
} from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import type { Parsed } from '../parse.ts';
import { didYouMean, type Finding, type Path, quoted } from '../problem.ts';
import { StoreConfig } from '../schema.ts';
import { checkEventStores, checkEvents } from './events.ts';
import { checkMappings, findDuplicateTargets } from './mapping.ts';
import { checkStoreNames, findDuplicateNames, namedEntries } from './names.ts';
import { checkNeeds, checkService } from './service.ts';

// Checks that involve several fields: names that refer to each other, and sections that require each other.

/**
 * Checks the sections of the main files, except the mappings.
 *
 * @param root The unvalidated content of the files, so that an entry with other mistakes is checked too.
 * @param isWhole Whether all files could be read. If not, a missing name or section may be in an unreadable file.
 */
export function crossCheck(root: Located, parsed: Parsed, isWhole: boolean): readonly Finding[] {
  const tokens = memberOf(memberOf(root.value, 'http'), 'tokens');
  return [
    ...findDuplicateNames(root, namedEntries(memberOf(root.value, 'stores'), ['stores'])),
    ...findDuplicateNames(root, namedEntries(tokens, ['http', 'tokens'])),
    ...findDuplicateNames(root, namedEntries(memberOf(root.value, 'notify'), ['notify'])),
    ...checkEnvironmentNames(root),
    ...checkPlainHttp(root),
    ...checkRetention(parsed),
    ...checkEvents(root),
    ...checkService(root),
    ...(isWhole ? [...checkRuleStores(root), ...checkNeeds(root), ...checkEventStores(root)] : []),
  ];
}

/**
 * Checks each mapping together with the stores.
 *
 * @param root Contains `stores` and the mappings to check.
 * @param isWhole Whether all main files could be read.
 * @param pause Lets the event loop run. Each check visits all mappings.
 */
export async function checkEachMapping(
  root: Located,
  isWhole: boolean,
  pause: () => Promise<void>,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const check of [checkMappings, checkStoreNames, ...(isWhole ? [checkSourceStores] : [])]) {
    append(findings, check(root));
    await pause();
  }
  return findings;
}

/**
 * Finds mappings with the same name or the same target.
 *
 * @param inBounds Whether a mapping may have targets in this namespace.
 */
export function findDuplicates(root: Located, inBounds: (namespace: string) => boolean): readonly Finding[] {
  const named = namedEntries(memberOf(root.value, 'mappings'), ['mappings']);
  return [...findDuplicateNames(root, named), ...findDuplicateTargets(root, inBounds)];
}

function checkSourceStores(root: Located): readonly Finding[] {
  const names = storeNamesIn(root);
  if (names === undefined) return [];
  return mappingsIn(root).flatMap(([index, mapping]) =>
    sourcesIn(mapping, ['mappings', index]).flatMap(([path, source]) =>
      checkStoreName(memberOf(source, 'store'), [...path, 'store'], names),
    ),
  );
}

/** Checks the names of stores in `include` and `access`. */
function checkRuleStores(root: Located): readonly Finding[] {
  const names = storeNamesIn(root);
  if (names === undefined) return [];
  return ['include', 'access'].flatMap((section) =>
    listOf(root, section).flatMap((rule, index) =>
      entriesOf(memberOf(rule, 'stores')).flatMap(([at, glob]) =>
        typeof glob === 'string' && !glob.includes('*')
          ? checkStoreName(glob, [section, index, 'stores', at], names)
          : [],
      ),
    ),
  );
}

function checkStoreName(name: unknown, path: Path, names: readonly string[]): readonly Finding[] {
  if (typeof name !== 'string' || name === '' || names.includes(name)) return [];
  return [{ ...invalid(path, `there is no store ${quoted(name)}`), ...didYouMean(name, names) }];
}

/**
 * Rejects invalid variable names, which may be pasted credentials. At run time, the message for an unset variable would
 * print the name.
 */
function checkEnvironmentNames(root: Located): Finding[] {
  const findings: Finding[] = [];
  const visit = (value: unknown, path: Path) => {
    const name = textOf(value, 'env');
    if (name !== undefined && name !== '' && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      findings.push(
        invalid([...path, 'env'], 'expected the name of an environment variable: letters, digits and `_`'),
      );
    for (const [key, member] of entriesOf(value)) if (!isFreeForm(key)) visit(member, [...path, key]);
  };
  for (const [section, value] of entriesOf(root.value)) if (section !== 'mappings') visit(value, [section]);
  return findings;
}

/**
 * Reports plain http addresses, which would expose tokens and values. A provider may report the same problem;
 * duplicates are removed later.
 */
function checkPlainHttp(root: Located): Finding[] {
  return listOf(root, 'stores').flatMap((store, index) =>
    (MAY_ALLOW_HTTP.has(textOf(store, 'kind')) ? entriesOf(store) : [])
      .filter(([, value]) => typeof value === 'string' && /^http:/i.test(value) && !isLoopback(value))
      .filter(() => memberOf(store, 'allowHttp') !== true)
      .map(([field]) =>
        invalid(
          ['stores', index, field],
          'expected https; http is allowed on loopback only, or with `allowHttp: true`',
        ),
      ),
  );
}

/** Store kinds that can allow plain http. The schemas of all other kinds reject it. */
const MAY_ALLOW_HTTP: ReadonlySet<string | undefined> = new Set(
  StoreConfig.options.filter(({ shape }) => 'allowHttp' in shape).map(({ shape }) => shape.kind.value),
);

/**
 * Checks `audit.retention`. Retention needs signed checkpoints as proof. The retention time must be longer than the
 * time for which the program still reads old records.
 */
function checkRetention({ sections: { audit, brake, absence } }: Parsed): Finding[] {
  if (audit === undefined) return [];
  const { retention, archive, checkpoints, store } = audit;
  if (retention === undefined)
    return archive === undefined ? [] : [invalid(['audit', 'archive'], 'needs `audit.retention`')];
  const places = checkpoints?.length ?? (store.kind === 'sqlite' ? 1 : 0);
  const path = ['audit', 'retention'];
  const lookbackPeriods = [
    ['brake.window', brake?.window ?? 0],
    ['absence.over', absence?.over ?? 0],
  ] as const;
  return [
    ...(places > 0
      ? []
      : [
          invalid(
            path,
            'needs an entry in `audit.checkpoints`: signed checkpoints prove which records retention removed',
          ),
        ]),
    ...lookbackPeriods
      .filter(([, ms]) => retention <= ms)
      .map(([name]) => invalid(path, `expected a longer time than \`${name}\`, which reads older records`)),
  ];
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}
