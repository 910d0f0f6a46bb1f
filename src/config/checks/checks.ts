import { append } from '../../core/lists.ts';
import { isLoopback } from '../../core/loopback.ts';
import { entriesOf, isFreeForm, listOf, memberOf, sourcesIn, storeNamesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import type { Parsed } from '../parse.ts';
import { didYouMean, type Finding, type Path, quoted } from '../problem.ts';
import { StoreConfig } from '../schema.ts';
import { checkEventStores, checkEvents } from './events.ts';
import { checkMappings } from './mapping.ts';
import { checkStoreNames, findDuplicateNames, namedEntries } from './names.ts';
import { checkNeeds, checkService } from './service.ts';

// Checks that involve several fields: names that refer to each other, and sections that require each other.

/**
 * Checks the main files.
 *
 * @param root The unvalidated content of the files, so that an entry with other mistakes is checked too.
 * @param isWhole Whether all files could be read. If not, a missing name or section may be in an unreadable file.
 * @param pause Lets the event loop run. Each check visits all mappings.
 */
export async function crossCheck(
  root: Located,
  parsed: Parsed,
  isWhole: boolean,
  pause: () => Promise<void>,
): Promise<readonly Finding[]> {
  const tokens = memberOf(memberOf(root.value, 'http'), 'tokens');
  return runChecks(
    [
      () => findDuplicateNames(root, namedEntries(memberOf(root.value, 'stores'), ['stores'])),
      ...mappingChecks(root, isWhole, () => true),
      () => findDuplicateNames(root, namedEntries(tokens, ['http', 'tokens'])),
      () => checkEnvironmentNames(root),
      () => checkPlainHttp(root),
      () => checkRetention(parsed),
      () => checkEvents(root),
      () => checkService(root),
      ...(isWhole ? [() => checkRuleStores(root), () => checkNeeds(root), () => checkEventStores(root)] : []),
    ],
    pause,
  );
}

/**
 * Checks the mappings of an included file.
 *
 * @param root Contains `stores` and these mappings.
 * @param isWhole Whether all main files could be read.
 * @param inBounds Whether a mapping may have targets in this namespace.
 * @param pause Lets the event loop run.
 */
export async function checkMappingSection(
  root: Located,
  isWhole: boolean,
  inBounds: (namespace: string) => boolean,
  pause: () => Promise<void>,
): Promise<readonly Finding[]> {
  return runChecks(mappingChecks(root, isWhole, inBounds), pause);
}

type Check = () => readonly Finding[];

function mappingChecks(
  root: Located,
  isWhole: boolean,
  inBounds: (namespace: string) => boolean,
): readonly Check[] {
  return [
    () => findDuplicateNames(root, namedEntries(memberOf(root.value, 'mappings'), ['mappings'])),
    () => checkMappings(root, inBounds),
    () => checkStoreNames(root),
    ...(isWhole ? [() => checkSourceStores(root)] : []),
  ];
}

async function runChecks(checks: readonly Check[], pause: () => Promise<void>): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const check of checks) {
    append(findings, check());
    await pause();
  }
  return findings;
}

function checkSourceStores(root: Located): readonly Finding[] {
  const names = storeNamesIn(root);
  if (names === undefined) return [];
  return listOf(root, 'mappings').flatMap((mapping, index) =>
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
