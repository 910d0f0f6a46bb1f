import { isLoopback } from '../core/loopback.ts';
import { locate } from './merge.ts';
import { didYouMean } from './nearest.ts';
import type { Parsed } from './parse.ts';
import { type Finding, formatPlace, type Path, quoted } from './problem.ts';
import type { Located } from './yaml.ts';

// What no single field can tell: names that refer to each other, and parts that need one another.

/** @param root As it stands in the files; names are checked there even where their entry has other mistakes. */
export function crossCheck(root: Located, parsed: Parsed): readonly Finding[] {
  return [
    ...duplicateNames(root, 'stores'),
    ...duplicateNames(root, 'mappings'),
    ...unknownStores(root),
    ...environmentNames(root),
    ...plainHttp(parsed),
    ...requiredKeys(parsed),
    ...mappingChecks(root, parsed),
    ...claimedTwice(root, parsed),
  ];
}

function duplicateNames(root: Located, section: 'stores' | 'mappings'): Finding[] {
  const first = new Map<string, Path>();
  const findings: Finding[] = [];
  for (const [index, entry] of listOf(root, section).entries()) {
    const name = memberOf(entry, 'name');
    if (typeof name !== 'string') continue;
    const path = [section, index, 'name'];
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, path);
    else
      findings.push(
        invalid(
          path,
          `the name ${quoted(name)} is given twice, first at ${formatPlace(locate(root, earlier))}`,
        ),
      );
  }
  return findings;
}

function unknownStores(root: Located): Finding[] {
  const names = listOf(root, 'stores')
    .map((store) => memberOf(store, 'name'))
    .filter((name) => typeof name === 'string');
  const findings: Finding[] = [];
  const look = (name: unknown, path: Path) => {
    if (typeof name !== 'string' || name === '' || names.includes(name)) return;
    findings.push({ ...invalid(path, `there is no store ${quoted(name)}`), ...didYouMean(name, names) });
  };
  for (const [index, mapping] of listOf(root, 'mappings').entries()) {
    const path = ['mappings', index];
    for (const part of ['data', 'dataFrom'])
      for (const [key, source] of entriesOf(memberOf(mapping, part)))
        look(memberOf(source, 'store'), [...path, part, key, 'store']);
  }
  for (const [index, rule] of listOf(root, 'access').entries())
    for (const [at, glob] of entriesOf(memberOf(rule, 'stores')))
      if (typeof glob === 'string' && !glob.includes('*')) look(glob, ['access', index, 'stores', at]);
  return findings;
}

/** A credential pasted where the name of a variable belongs would show in the message that it is not set. */
function environmentNames(root: Located): Finding[] {
  const findings: Finding[] = [];
  const visit = (value: unknown, path: Path) => {
    const name = memberOf(value, 'env');
    if (typeof name === 'string' && name !== '' && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      findings.push(
        invalid([...path, 'env'], 'expected the name of an environment variable: letters, digits and `_`'),
      );
    for (const [key, member] of entriesOf(value)) visit(member, [...path, key]);
  };
  for (const [section, value] of entriesOf(root.value)) if (section !== 'mappings') visit(value, [section]);
  return findings;
}

/** Tokens and values travel there. A provider may have refused it by itself. */
function plainHttp(parsed: Parsed): Finding[] {
  return [...parsed.stores].flatMap(([index, store]) =>
    entriesOf(store)
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

function requiredKeys({ sections }: Parsed): Finding[] {
  if (sections.keys === undefined || sections.keys.fingerprint !== undefined) return [];
  const shared =
    sections.engine?.kind === 'redis'
      ? '`engine: redis`'
      : sections.audit?.store.kind === 'postgres'
        ? 'an audit store of kind `postgres`'
        : undefined;
  if (shared === undefined) return [];
  const message = `is missing; with ${shared} all replicas must share it`;
  return [invalid(['keys', 'fingerprint'], message)];
}

function mappingChecks(root: Located, parsed: Parsed): Finding[] {
  const kinds = new Map([...parsed.stores.values()].map((store) => [store.name, store.kind]));
  return [...parsed.mappings].flatMap(([index, mapping]) => {
    const path: Path = ['mappings', index];
    const findings: Finding[] = [];
    if (Object.keys(mapping.data).length === 0 && mapping.dataFrom.length === 0)
      findings.push(invalid(path, 'expected at least one source, under `data` or `dataFrom`'));
    const namespaces = new Set<string>();
    for (const [at, namespace] of (mapping.target.namespaces ?? []).entries()) {
      if (namespaces.has(namespace))
        findings.push(
          invalid([...path, 'target', 'namespaces', at], `the namespace ${quoted(namespace)} is given twice`),
        );
      namespaces.add(namespace);
    }
    for (const key of Object.keys(mapping.template?.data ?? {}))
      if (Object.hasOwn(mapping.data, key))
        findings.push({
          path: [...path, 'template', 'data', key],
          at: 'key',
          code: 'KEY_COLLISION',
          message: `the key ${quoted(key)} is given by a source too, at ${formatPlace(locate(root, [...path, 'data', key], 'key'))}`,
        });
    const sources: [Path, { store: string; object?: string | undefined }][] = [
      ...Object.entries(mapping.data).map(([key, source]) => [[...path, 'data', key], source] as const),
      ...mapping.dataFrom.map((source, at) => [[...path, 'dataFrom', at], source] as const),
    ].map(([at, source]) => [at, source]);
    for (const [at, { store, object }] of sources) {
      const kind = kinds.get(store);
      if (object !== undefined && kind !== undefined && kind !== 'azure-key-vault')
        findings.push(
          invalid([...at, 'object'], 'expected a store of kind `azure-key-vault`: no other has `object`'),
        );
    }
    return findings;
  });
}

/** Several mappings may merge into one Secret; whoever owns one is alone. */
function claimedTwice(root: Located, parsed: Parsed): Finding[] {
  const first = new Map<string, { path: Path; mode: string }>();
  return [...parsed.mappings].flatMap(([index, { name, target }]) => {
    const path = ['mappings', index, 'target'];
    const namespaces = target.namespace === undefined ? (target.namespaces ?? []) : [target.namespace];
    return [...new Set(namespaces)].flatMap((namespace) => {
      const id = `${namespace}/${target.secret ?? name}`;
      const earlier = first.get(id);
      if (earlier === undefined) first.set(id, { path, mode: target.mode });
      if (earlier === undefined || (earlier.mode === 'merge' && target.mode === 'merge')) return [];
      const message = `another mapping has the target ${quoted(id)} too, at ${formatPlace(locate(root, earlier.path))}`;
      return [{ path, code: 'TARGET_CLAIMED' as const, message }];
    });
  });
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}

function listOf(root: Located, section: string): readonly unknown[] {
  const list = memberOf(root.value, section);
  return Array.isArray(list) ? list : [];
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

function entriesOf(value: unknown): readonly [string | number, unknown][] {
  if (Array.isArray(value)) return [...value.entries()];
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
