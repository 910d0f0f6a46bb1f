import { isSecretName } from '../../core/target.ts';
import { locate } from '../files/merge.ts';
import { entriesOf, mappingsIn, memberOf, namespacesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { type Finding, formatPlace, type Path, type Place, quoted } from '../problem.ts';

/**
 * Kubernetes limits the names and values of all annotations to 256 KiB in total. Our own annotations need up to 66 KiB
 * of that.
 */
const MAX_ANNOTATIONS = (256 - 66) * 1024;

/** Checks that involve several fields of a mapping. */
export function checkMappings(root: Located): readonly Finding[] {
  return mappingsIn(root).flatMap(([index, mapping]) => checkMapping(root, mapping, ['mappings', index]));
}

function checkMapping(root: Located, mapping: unknown, path: Path): Finding[] {
  if (typeof mapping !== 'object' || mapping === null) return [];
  const target = memberOf(mapping, 'target');
  const findings: Finding[] = [];
  if (isMissingOrEmpty(memberOf(mapping, 'data')) && isMissingOrEmpty(memberOf(mapping, 'dataFrom')))
    findings.push(invalid(path, 'expected at least one source, under `data` or `dataFrom`'));

  const namespaces = new Set<string>();
  for (const [at, namespace] of entriesOf(memberOf(target, 'namespaces'))) {
    if (typeof namespace !== 'string') continue;
    if (namespaces.has(namespace))
      findings.push(
        invalid([...path, 'target', 'namespaces', at], `the namespace ${quoted(namespace)} is listed twice`),
      );
    namespaces.add(namespace);
  }

  for (const [key] of entriesOf(memberOf(memberOf(mapping, 'template'), 'data')))
    if (memberOf(memberOf(mapping, 'data'), String(key)) !== undefined)
      findings.push({
        path: [...path, 'template', 'data', key],
        at: 'key',
        code: 'KEY_COLLISION',
        message: `the key ${quoted(String(key))} is also set by a source, at ${formatPlace(locate(root, [...path, 'data', key], 'key'))}`,
      });

  const name = textOf(mapping, 'name');
  if (name !== undefined && /^[-a-z0-9.]+$/.test(name) && textOf(target, 'secret') === undefined)
    if (!isSecretName(name))
      findings.push(
        invalid(
          [...path, 'name'],
          'the Secret gets this name, but it is not a valid Secret name: each `.` needs a letter or digit on both sides; rename it, or set `target.secret`',
        ),
      );

  const annotations = entriesOf(memberOf(target, 'annotations'));
  const size = annotations.reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);
  if (size > MAX_ANNOTATIONS)
    findings.push(
      invalid(
        [...path, 'target', 'annotations'],
        `annotations of at most ${MAX_ANNOTATIONS / 1024} KiB in total, got ${Math.ceil(size / 1024)} KiB: Kubernetes allows 256 KiB, and our own annotations need room`,
      ),
    );
  return findings;
}

/**
 * Finds targets of several mappings. Several mappings may merge into one Secret, but only one may own it. A target
 * outside the bounds of its mapping does not count.
 */
export function findDuplicateTargets(
  root: Located,
  inBounds: (namespace: string) => boolean,
): readonly Finding[] {
  const first = new Map<string, { name: string | undefined; path: Path; mode: unknown }>();
  return mappingsIn(root).flatMap(([index, mapping]) => {
    const path: Path = ['mappings', index];
    const target = memberOf(mapping, 'target');
    const name = textOf(mapping, 'name');
    const secret = textOf(target, 'secret') ?? name;
    const mode = memberOf(target, 'mode') ?? 'own';
    if (secret === undefined) return [];
    const namespaces = namespacesIn(mapping, path).map(([, namespace]) => namespace);
    return [...new Set(namespaces)].flatMap((namespace) => {
      if (!inBounds(namespace)) return [];
      const id = `${namespace}/${secret}`;
      const earlier = first.get(id);
      if (earlier === undefined) first.set(id, { name, path: [...path, 'target'], mode });
      if (earlier === undefined || (earlier.mode === 'merge' && mode === 'merge')) return [];
      const message = claimedMessage(id, earlier.name, locate(root, earlier.path));
      return [{ path: [...path, 'target'], code: 'TARGET_CLAIMED' as const, message }];
    });
  });
}

/** @param mapping The name of the other mapping, if it has one. */
export function claimedMessage(target: string, mapping: string | undefined, place: Place): string {
  const other = mapping === undefined ? 'another mapping' : `mapping ${quoted(mapping)}`;
  return `${other} also has the target ${quoted(target)}, at ${formatPlace(place)}`;
}

export function isMissingOrEmpty(value: unknown): boolean {
  return (
    value === undefined || (typeof value === 'object' && entriesOf(value).length === 0 && value !== null)
  );
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}
