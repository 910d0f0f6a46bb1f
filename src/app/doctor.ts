import { randomUUID } from 'node:crypto';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { createAccess } from '../config/access.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { createFingerprinter } from '../core/fingerprint.ts';
import type { Mapping, Source } from '../core/mapping.ts';
import { type ReadResult, refId } from '../core/reading.ts';
import { clockSkewed } from '../core/skew.ts';
import { compareText, formatTarget, type TargetId } from '../core/target.ts';
import type { SecretProvider } from '../providers/provider.ts';
import { createReader, type ReaderDeps } from '../providers/reader.ts';
import { commandEntry } from '../reconcile/recorder.ts';
import { resolveTargets, rightsOf, unresolvedTargets } from '../reconcile/targets.ts';
import { sourcesOf, storeRef } from '../sync/desired.ts';
import { describeSource } from '../sync/value.ts';
import { type AppDeps, credentialsOf, guardedNamespace } from './app.ts';
import { type AuditDeps, openAudit } from './audit.ts';
import { expectedCalls } from './calls.ts';
import { openCluster } from './cluster.ts';
import { checkEvents } from './doctor-events.ts';
import { fingerprintKey } from './keys.ts';
import { createStores } from './stores.ts';

/** One question; the answer is the error, or that there is none. */
export interface Finding {
  readonly name: string;
  readonly error?: AppError;
}

/**
 * Tries everything that a sync needs, for real, and changes nothing. One part that does not work hides no other:
 * each is opened on its own.
 */
export async function examine(
  config: Config,
  deps: AppDeps,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  const { clock } = deps;
  const findings: Finding[] = [];
  const attempt = async <T>(name: string, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      const result = await work();
      findings.push({ name });
      return result;
    } catch (thrown) {
      findings.push({ name, error: toAppError(thrown) });
      return undefined;
    }
  };

  await using stack = new AsyncDisposableStack();
  let cluster: Cluster | undefined;
  const credential = credentialsOf(deps, async (name, key) => cluster?.ownSecret(name, key));
  const audit = await attempt(`audit: write ${auditAddress(config)}`, () =>
    checkAudit(config, deps, credential),
  );
  if (audit !== undefined) stack.use(audit);
  cluster = await attempt('cluster: configuration', async () =>
    stack.use(await openCluster(config.cluster, deps)),
  );
  if (cluster !== undefined) await checkCluster(config, cluster, clock, attempt);

  const make = config.audit.store.kind === 'sqlite';
  const key = await attempt('keys: fingerprint', () =>
    fingerprintKey(config.keys.fingerprint, { make, credential }),
  );
  if (key === undefined) return findings;
  const fingerprints = createFingerprinter(key);
  const stores = stack.use(createStores(config.stores, { clock, fingerprints, credential }));
  for (const { name } of config.stores)
    findings.push(...(await checkStore(config, name, () => stores.open(name), signal)));
  const broken = new Set(config.stores.map(({ name }) => name).filter((name) => hasFailed(findings, name)));
  findings.push(...(await checkSources(config, broken, { open: (store) => stores.open(store), signal })));
  const open = (store: string) => stores.open(store);
  await checkEvents(config, { clock, fingerprints, credential, open, broken, attempt, signal });
  return findings;
}

type Attempt = <T>(name: string, work: () => Promise<T>) => Promise<T | undefined>;

function auditAddress({ audit: { store } }: Config): string {
  return store.kind === 'sqlite' ? store.path : store.kind;
}

/** Only a record proves that one can be written. */
async function checkAudit(
  config: Config,
  { clock, replica, actor }: AppDeps,
  credential: AuditDeps['credential'],
): Promise<AuditStore> {
  const audit = await openAudit(config, { clock, replica, credential });
  await audit.append([commandEntry('doctor', actor, randomUUID())]);
  return audit;
}

async function checkCluster(config: Config, cluster: Cluster, clock: Clock, attempt: Attempt): Promise<void> {
  const reached = await attempt(`cluster: reach ${cluster.address}`, async () => {
    const { time } = await cluster.ping();
    const skewed = time === undefined ? undefined : clockSkewed(clock.now() - time, "the cluster's");
    if (skewed !== undefined) throw skewed;
    return true;
  });
  if (reached === undefined) return;
  const targets = await resolveTargets(config.mappings, cluster, guardedNamespace(config, cluster));
  for (const { mapping, error } of targets)
    if (error !== undefined)
      await attempt(`namespaces: select (mapping ${mapping.name})`, () => Promise.reject(error));
  const access = createAccess(config);
  const known = targets.filter(
    ({ error, mapping, id }) =>
      error === undefined && access.allowsNamespace({ mapping: mapping.name, namespace: id.namespace }),
  );
  const creating = known.filter(({ mapping }) => mapping.target.mode === 'own');
  const closed = new Set<string>();
  for (const [namespace, [first]] of Map.groupBy(creating, ({ id }) => id.namespace)) {
    if (first === undefined) continue;
    const opened = await attempt(`namespace: create in ${namespace}`, () => rehearse(cluster, first.id));
    if (opened === undefined) closed.add(namespace);
  }
  // Rights in a namespace that takes nothing would be said to be well.
  for (const { id, mapping } of known.filter((it) => !closed.has(it.id.namespace)))
    await attempt(`target: write ${formatTarget(id)} (mapping ${mapping.name})`, () =>
      askRights(cluster, id, mapping),
    );
}

/** Only the cluster itself knows of namespaces, quotas and admission; a Secret that is there already is no obstacle. */
async function rehearse(cluster: Cluster, id: TargetId): Promise<true> {
  const empty = { type: 'Opaque', immutable: false, labels: {}, annotations: {}, data: new Map() };
  await cluster.create(id, empty, { dryRun: true });
  return true;
}

async function askRights(cluster: Cluster, { namespace, secret }: TargetId, mapping: Mapping): Promise<void> {
  const { deletes, merges } = rightsOf(mapping);
  const missing: string[] = [];
  for (const verb of ['get', merges ? 'patch' : 'update', ...(deletes ? ['delete' as const] : [])] as const)
    if (!(await cluster.may({ namespace, verb, secret }))) missing.push(verb);
  if (missing.length > 0)
    throw new AppError('CLUSTER_FORBIDDEN', { detail: `not allowed: ${missing.join(', ')}` });
}

async function checkStore(
  config: Config,
  name: string,
  open: () => Promise<SecretProvider>,
  signal: AbortSignal | undefined,
): Promise<readonly Finding[]> {
  try {
    const checks = await (await open()).check(signal === undefined ? {} : { signal });
    const lacks = new Set(checks.flatMap(({ saves }) => saves ?? []));
    return checks.map(({ saves, error, name: what }) => ({
      name: `store ${name}: ${what}${saves === undefined ? '' : savedCalls(config, name, lacks, saves)}`,
      ...(error === undefined ? {} : { error }),
    }));
  } catch (thrown) {
    return [{ name: `store ${name}: open`, error: toAppError(thrown) }];
  }
}

/** What one of the permissions that are missing would save, everything else being as it is. */
function savedCalls(
  config: Config,
  store: string,
  lacks: ReadonlySet<'list' | 'batch'>,
  saves: 'list' | 'batch',
): string {
  const wanted = unresolvedTargets(config.mappings);
  const perHour = (lacking: ReadonlySet<'list' | 'batch'>) =>
    expectedCalls(config, wanted, { lacks: lacking }).find((it) => it.store === store)?.perHour ?? 0;
  const saved = perHour(lacks) - perHour(lacks.difference(new Set([saves])));
  return saved > 0 ? `; it would save up to ${saved} of ${perHour(lacks)} calls an hour here` : '';
}

function hasFailed(findings: readonly Finding[], store: string): boolean {
  // A clock that is wrong makes riddles, but a store with one may still be read.
  return findings.some(
    ({ name, error }) =>
      error !== undefined && error.code !== 'CLOCK_SKEWED' && name.startsWith(`store ${store}: `),
  );
}

/**
 * Each source is read, by its own name, so that a missing permission shows with the key that needs it. What a
 * mapping may not use is not read for it.
 */
async function checkSources(
  config: Config,
  broken: ReadonlySet<string>,
  deps: Pick<ReaderDeps, 'open' | 'signal'>,
): Promise<readonly Finding[]> {
  const access = createAccess(config);
  const uses = config.mappings.flatMap((mapping) => {
    const { namespaces } = mapping.target;
    const isAllowed = ({ store, key }: Source): boolean =>
      namespaces.every((namespace) => access.allows({ mapping: mapping.name, namespace, store, key }));
    return sourcesOf(mapping).map((source) => ({ source, allowed: isAllowed(source) }));
  });
  const reader = createReader({ ...deps, onRead: async () => undefined });
  const readable = uses.filter(({ source, allowed }) => allowed && !broken.has(source.store));
  const results = await reader.read(readable.map(({ source }) => storeRef(source)));
  const findings = uses
    .filter(({ source }) => !broken.has(source.store))
    .map(({ source, allowed }): Finding => {
      const result = results.get(refId(storeRef(source)));
      const error = allowed ? sourceError(source, result) : new AppError('NOT_ALLOWED');
      const { property: _, ...whole } = source;
      return { name: `read ${describeSource(whole)}`, ...(error === undefined ? {} : { error }) };
    });
  // One line for each: an error, if any mapping meets one.
  return [...Map.groupBy(findings, ({ name }) => name).values()]
    .flatMap((same) => same.find(({ error }) => error !== undefined) ?? same.slice(0, 1))
    .sort((a, b) => compareText(a.name, b.name));
}

function sourceError(source: Source, result: ReadResult | undefined): AppError | undefined {
  if (result?.kind === 'failed') return result.error;
  return result?.kind === 'absent' && !source.optional ? new AppError('SOURCE_ABSENT') : undefined;
}
