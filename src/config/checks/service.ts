import { entriesOf, memberOf, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import type { Finding, Path } from '../problem.ts';

// What of the service's own sections contradicts, or needs, another part of them: as it stands in the files, so that
// it shows beside any other mistake.

export function checkService({ value: root }: Located): readonly Finding[] {
  return [...contradictions(root), ...pairs(root)];
}

/** Only where all files could be read: a section may stand in one that could not. */
export function checkNeeds({ value: root }: Located): readonly Finding[] {
  return [...sharedKeys(root), ...needsKubernetes(root)];
}

/** All replicas must have the same, and none can be made beside a database. */
function sharedKeys(root: unknown): readonly Finding[] {
  const { engine, audit, keys } = sectionsOf(root);
  const shared =
    textOf(engine, 'kind') === 'redis'
      ? '`engine: redis`'
      : textOf(memberOf(audit, 'store'), 'kind') === 'postgres'
        ? 'an audit store of kind `postgres`'
        : undefined;
  if (shared === undefined || (keys !== undefined && (typeof keys !== 'object' || Array.isArray(keys))))
    return [];
  const signs = entriesOf(memberOf(audit, 'checkpoints')).length > 0;
  return (signs ? ['fingerprint', 'checkpoint'] : ['fingerprint'])
    .filter((name) => memberOf(keys, name) === undefined)
    .map((name) => invalid(['keys', name], `is missing; with ${shared} all replicas must share it`));
}

/** A folder has neither ConfigMaps nor identities. Such a change would end a service that opens anew with it. */
function needsKubernetes(root: unknown): readonly Finding[] {
  const { cluster, audit, http } = sectionsOf(root);
  if (textOf(cluster, 'kind') !== 'directory') return [];
  return [
    ...entriesOf(memberOf(audit, 'checkpoints'))
      .filter(([, place]) => textOf(place, 'kind') === 'configMap')
      .map(([at]) =>
        invalid(['audit', 'checkpoints', at, 'kind'], 'a ConfigMap needs `cluster.kind: kubernetes`'),
      ),
    ...(memberOf(http, 'kubernetes') === true
      ? [invalid(['http', 'kubernetes'], 'identities of Kubernetes need `cluster.kind: kubernetes`')]
      : []),
  ];
}

function contradictions(root: unknown): readonly Finding[] {
  const { engine } = sectionsOf(root);
  return memberOf(engine, 'cluster') === true && memberOf(engine, 'sentinel') !== undefined
    ? [invalid(['engine', 'sentinel'], 'expected either `sentinel` or `cluster: true`, and not both')]
    : [];
}

/** With one of the two no certificate would be shown, and the server's refusal names neither. */
function pairs(root: unknown): readonly Finding[] {
  const { engine, audit } = sectionsOf(root);
  const places: readonly (readonly [unknown, Path])[] = [
    [memberOf(engine, 'tls'), ['engine', 'tls']],
    [memberOf(memberOf(audit, 'store'), 'tls'), ['audit', 'store', 'tls']],
  ];
  return places
    .filter(([tls]) => (memberOf(tls, 'certFile') === undefined) !== (memberOf(tls, 'keyFile') === undefined))
    .map(([, path]) => invalid(path, 'expected `certFile` and `keyFile` together, or neither'));
}

function sectionsOf(root: unknown) {
  const [cluster, engine, audit, keys, http] = ['cluster', 'engine', 'audit', 'keys', 'http'].map((name) =>
    memberOf(root, name),
  );
  return { cluster, engine, audit, keys, http };
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}
