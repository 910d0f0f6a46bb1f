import { ERRORS } from '../../core/error-codes.ts';
import { isLoopback } from '../../core/loopback.ts';
import { warningOf } from '../../providers/registry.ts';
import type { Config } from '../config.ts';
import { entriesOf, memberOf, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import type { Finding, Path } from '../problem.ts';

// Finds contradictions within and between the service sections. The checks use the unvalidated files, so that other
// mistakes do not hide a contradiction.

export function checkService({ value: root }: Located): readonly Finding[] {
  return [...checkContradictions(root), ...checkTlsPairs(root), ...checkPlainHttp(root), ...checkPorts(root)];
}

/**
 * Finds sections that are missing although another section requires them. Call this only if all files could be read,
 * because the missing section may be in an unreadable file.
 */
export function checkNeeds({ value: root }: Located): readonly Finding[] {
  return [...checkSharedKeys(root), ...checkKubernetesNeeds(root)];
}

/**
 * Requires explicit keys with PostgreSQL or Redis, because all replicas must share the keys. Without explicit keys,
 * each process creates keys of its own.
 */
function checkSharedKeys(root: unknown): readonly Finding[] {
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
    .map((name) => invalid(['keys', name], `is missing; with ${shared} all replicas must share this key`));
}

/**
 * Rejects settings that need an API server if the cluster is a directory. A directory has neither ConfigMaps nor
 * Kubernetes identities, so the service could not start.
 */
function checkKubernetesNeeds(root: unknown): readonly Finding[] {
  const { cluster, audit, http, include } = sectionsOf(root);
  if (textOf(cluster, 'kind') !== 'directory') return [];
  return [
    ...entriesOf(include)
      .filter(([, entry]) => memberOf(entry, 'configMaps') !== undefined)
      .map(([at]) => invalid(['include', at, 'configMaps'], 'ConfigMaps need `cluster.kind: kubernetes`')),
    ...entriesOf(memberOf(audit, 'checkpoints'))
      .filter(([, place]) => textOf(place, 'kind') === 'configMap')
      .map(([at]) =>
        invalid(['audit', 'checkpoints', at, 'kind'], 'a ConfigMap needs `cluster.kind: kubernetes`'),
      ),
    ...(memberOf(http, 'kubernetes') === true
      ? [invalid(['http', 'kubernetes'], 'Kubernetes identities need `cluster.kind: kubernetes`')]
      : []),
  ];
}

function checkContradictions(root: unknown): readonly Finding[] {
  const { engine } = sectionsOf(root);
  return memberOf(engine, 'cluster') === true && memberOf(engine, 'sentinel') !== undefined
    ? [invalid(['engine', 'sentinel'], 'expected either `sentinel` or `cluster: true`, not both')]
    : [];
}

/**
 * Requires both the client certificate and its key. If only one of both is set, no certificate is sent, and the
 * server's error does not explain why.
 */
function checkTlsPairs(root: unknown): readonly Finding[] {
  const { engine, audit } = sectionsOf(root);
  const places: readonly (readonly [unknown, Path])[] = [
    [memberOf(engine, 'tls'), ['engine', 'tls']],
    [memberOf(memberOf(audit, 'store'), 'tls'), ['audit', 'store', 'tls']],
  ];
  return places
    .filter(([tls]) => (memberOf(tls, 'certFile') === undefined) !== (memberOf(tls, 'keyFile') === undefined))
    .map(([, path]) => invalid(path, 'expected `certFile` and `keyFile` together, or neither'));
}

/** Requires TLS for tokens, because everybody on the network path could read and use them. */
function checkPlainHttp(root: unknown): readonly Finding[] {
  const { http } = sectionsOf(root);
  const acceptsTokens =
    entriesOf(memberOf(http, 'tokens')).length > 0 ||
    memberOf(http, 'kubernetes') === true ||
    memberOf(http, 'oidc') !== undefined;
  const isPlain = memberOf(http, 'tls') === undefined && memberOf(http, 'allowHttp') !== true;
  const listeners: readonly (readonly [unknown, Path])[] = [
    [http, ['http', 'listen']],
    ...(memberOf(http, 'metricsNeedToken') === true
      ? [[memberOf(http, 'metrics'), ['http', 'metrics', 'listen']] as const]
      : []),
  ];
  return listeners
    .filter(([section]) => {
      const listen = textOf(section, 'listen');
      return acceptsTokens && isPlain && listen !== undefined && !isLoopback(`http://${listen}`);
    })
    .map(([, path]) =>
      invalid(
        path,
        'tokens would be sent in clear text over the network; set `http.tls`, listen on loopback, or set `http.allowHttp: true` if a proxy in front of the service serves https',
      ),
    );
}

function checkPorts(root: unknown): readonly Finding[] {
  const { http } = sectionsOf(root);
  const portOf = (section: unknown): string | undefined => textOf(section, 'listen')?.split(':').at(-1);
  const port = portOf(http);
  return port !== undefined && port !== '0' && port === portOf(memberOf(http, 'metrics'))
    ? [invalid(['http', 'metrics', 'listen'], 'expected another port than the one of `http.listen`')]
    : [];
}

function sectionsOf(root: unknown) {
  const names = ['cluster', 'engine', 'audit', 'keys', 'http', 'include'];
  const [cluster, engine, audit, keys, http, include] = names.map((name) => memberOf(root, name));
  return { cluster, engine, audit, keys, http, include };
}

function invalid(path: Path, message: string): Finding {
  return { path, code: 'CONFIG_INVALID', message };
}

/** Returns what is valid in a configuration, but probably not wanted. */
export function findWarnings({ audit, stores }: Pick<Config, 'audit' | 'stores'>): readonly Finding[] {
  const code = 'CHECKPOINTS_MISSING';
  const checkpoints = { path: ['audit', 'checkpoints'], code, message: ERRORS[code].message } as const;
  const ofStores = stores.flatMap((store, index): readonly Finding[] => {
    const warning = warningOf(store);
    if (warning === undefined) return [];
    const message = `store ${store.name}: ${warning.message}`;
    return [{ path: ['stores', index, warning.field], code: 'CONFIG_INVALID', message }];
  });
  return [...(areCheckpointsReadable(audit) ? [] : [checkpoints]), ...ofStores];
}

/** Whether checkpoints are kept at a place from which they can be read back. Standard output is not such a place. */
export function areCheckpointsReadable({ checkpoints }: Config['audit']): boolean {
  return checkpoints.some(({ kind }) => kind !== 'stdout');
}
