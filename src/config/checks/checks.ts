import { isLoopback } from '../../core/loopback.ts';
import { entriesOf, isFreeForm, listOf, memberOf, sourcesIn, storeNamesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { didYouMean } from '../nearest.ts';
import type { Parsed } from '../parse.ts';
import { type Finding, type Path, quoted } from '../problem.ts';
import { StoreConfig } from '../schema.ts';
import { checkEventStores, checkEvents } from './events.ts';
import { checkMappings } from './mapping.ts';
import { namedIn, namedTwice } from './named-twice.ts';
import { checkNeeds, checkService } from './service.ts';
import { checkStoreNames } from './store-names.ts';

// What no single field can tell: names that refer to each other, and parts that need one another.

export interface CheckOptions {
  /** Whether the mapping at an index may have targets in a namespace at all. */
  readonly inBounds: (index: number, namespace: string) => boolean;
  /** Otherwise names and sections may be missing only because their file could not be read. */
  readonly isWhole: boolean;
}

/** @param root As it stands in the files: what is checked there shows even where an entry has other mistakes. */
export function crossCheck(
  root: Located,
  parsed: Parsed,
  { inBounds, isWhole }: CheckOptions,
): readonly Finding[] {
  return [
    ...namedTwice(root, namedIn(memberOf(root.value, 'stores'), ['stores'])),
    ...namedTwice(root, namedIn(memberOf(root.value, 'mappings'), ['mappings'])),
    ...namedTwice(root, namedIn(memberOf(memberOf(root.value, 'http'), 'tokens'), ['http', 'tokens'])),
    ...environmentNames(root),
    ...plainHttp(root),
    ...retentionNeeds(parsed),
    ...checkMappings(root, inBounds),
    ...checkStoreNames(root),
    ...checkEvents(root),
    ...checkService(root),
    ...(isWhole ? [...unknownStores(root), ...checkNeeds(root), ...checkEventStores(root)] : []),
  ];
}

function unknownStores(root: Located): Finding[] {
  const names = storeNamesIn(root);
  if (names === undefined) return [];
  const findings: Finding[] = [];
  const look = (name: unknown, path: Path) => {
    if (typeof name !== 'string' || name === '' || names.includes(name)) return;
    findings.push({ ...invalid(path, `there is no store ${quoted(name)}`), ...didYouMean(name, names) });
  };
  for (const [index, mapping] of listOf(root, 'mappings').entries())
    for (const [path, source] of sourcesIn(mapping, ['mappings', index]))
      look(memberOf(source, 'store'), [...path, 'store']);
  for (const section of ['include', 'access'])
    for (const [index, rule] of listOf(root, section).entries())
      for (const [at, glob] of entriesOf(memberOf(rule, 'stores')))
        if (typeof glob === 'string' && !glob.includes('*')) look(glob, [section, index, 'stores', at]);
  return findings;
}

/** A credential pasted where the name of a variable belongs would show in the message that it is not set. */
function environmentNames(root: Located): Finding[] {
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

/** Tokens and values travel there. A provider may say the same by itself; what is the same twice is said once. */
function plainHttp(root: Located): Finding[] {
  return listOf(root, 'stores').flatMap((store, index) =>
    (MAY_ALLOW_HTTP.has(textOf(store, 'kind')) ? entriesOf(store) : [])
      .filter(([, value]) => typeof value === 'string' && /^http:/i.test(value) && !isLoopback(value))
      .filter(() => memberOf(store, 'allowHttp') !== true)
      .map(([field]) =>
        invalid(
          ['stores', index, field],
          'expected https; http is for loopback only, or with `allowHttp: true`',
        ),
      ),
  );
}

/** Kinds of stores; the others refuse plain http by themselves, whatever else is said. */
const MAY_ALLOW_HTTP: ReadonlySet<string | undefined> = new Set(
  StoreConfig.options.filter(({ shape }) => 'allowHttp' in shape).map(({ shape }) => shape.kind.value),
);

/** What proves that a cut was ours, and what still looks back on records. */
function retentionNeeds({ sections: { audit, brake, absence } }: Parsed): Finding[] {
  if (audit === undefined) return [];
  const { retention, archive, checkpoints, store } = audit;
  if (retention === undefined)
    return archive === undefined ? [] : [invalid(['audit', 'archive'], 'needs `audit.retention`')];
  const places = checkpoints?.length ?? (store.kind === 'sqlite' ? 1 : 0);
  const path = ['audit', 'retention'];
  const looksBack = [
    ['brake.window', brake?.window ?? 0],
    ['absence.over', absence?.over ?? 0],
  ] as const;
  return [
    ...(places > 0
      ? []
      : [
          invalid(
            path,
            'needs a place in `audit.checkpoints`: without signed checkpoints nothing proves what has left',
          ),
        ]),
    ...looksBack
      .filter(([, ms]) => retention <= ms)
      .map(([name]) => invalid(path, `expected a longer time than \`${name}\`, which looks back on records`)),
  ];
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}
