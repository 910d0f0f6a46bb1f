import type { Policy } from '../../core/mapping.ts';
import { type PolicyViolation, policyViolations } from '../../sync/policies.ts';
import { entriesOf, mappingsIn, memberOf, namespacesIn, sourcesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import type { Finding, Path } from '../problem.ts';

/**
 * Finds mappings that violate `policies`. Each violation fails only its own mapping. The keys of `dataFrom` and the
 * namespaces of a selector are checked at run time. The check uses the unvalidated files, so that other mistakes do not
 * hide violations.
 */
export function findPolicyViolations(root: Located, policies: readonly Policy[]): readonly Finding[] {
  if (policies.length === 0) return [];
  return mappingsIn(root).flatMap(([index, mapping]) => violationsIn(mapping, ['mappings', index], policies));
}

function violationsIn(mapping: unknown, path: Path, policies: readonly Policy[]): readonly Finding[] {
  const target = memberOf(mapping, 'target');
  const template = memberOf(mapping, 'template');
  const sources = sourcesIn(mapping, path);
  const data = memberOf(template, 'only') === true ? [] : namesIn(memberOf(mapping, 'data'));
  const use = {
    secret: textOf(target, 'secret') ?? textOf(mapping, 'name'),
    keys: [...data, ...namesIn(memberOf(template, 'data'))],
    labels: memberOf(target, 'mode') === 'merge' ? undefined : namesIn(memberOf(target, 'labels')),
    stores: [...new Set(sources.flatMap(([, source]) => textOf(source, 'store') ?? []))],
  };
  const pathOf = ({ rule, name }: PolicyViolation): Path => {
    if (rule === 'keyName') return [...path, ...(data.includes(name) ? [] : ['template']), 'data', name];
    if (rule === 'requireLabels')
      return [...path, 'target', ...(memberOf(target, 'labels') === undefined ? [] : ['labels'])];
    if (rule === 'secretName')
      return textOf(target, 'secret') === undefined ? [...path, 'name'] : [...path, 'target', 'secret'];
    const [at = path] = sources.find(([, source]) => textOf(source, 'store') === name) ?? [];
    return [...at, 'store'];
  };
  const found = namespacesIn(mapping, path).flatMap(([, namespace]) =>
    policyViolations(policies, { ...use, namespace }),
  );
  return found.map((violation) => ({
    path: pathOf(violation),
    code: 'POLICY_VIOLATED',
    message: violation.message,
  }));
}

function namesIn(value: unknown): readonly string[] {
  return entriesOf(value).map(([name]) => String(name));
}
