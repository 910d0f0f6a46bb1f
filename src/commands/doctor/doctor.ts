import { randomUUID } from 'node:crypto';
import { openAudit } from '../../app/audit.ts';
import { type CheckpointDeps, requireTrustedAudit, testCheckpointPlaces } from '../../app/checkpoints.ts';
import { credentialsOf, openCluster } from '../../app/cluster.ts';
import { type CurrentConfig, createCurrentConfig } from '../../app/current-config.ts';
import type { AppDeps } from '../../app/deps.ts';
import { type InstallationKeys, openKeys } from '../../app/keys.ts';
import { createStores } from '../../app/stores.ts';
import { commandEntry, commandOf } from '../../audit/entry.ts';
import type { AuditStore } from '../../audit/store.ts';
import type { AccessRequest, Cluster } from '../../cluster/cluster.ts';
import { FOLDER_PERMISSIONS_REMEDY } from '../../cluster/directory/disk.ts';
import { brokenIncludes, type Config } from '../../config/config.ts';
import { createAccess } from '../../config/shape/access.ts';
import { type Clock, clockSkewError } from '../../core/clock.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import { append } from '../../core/lists.ts';
import type { Mapping } from '../../core/mapping.ts';
import { formatTarget, type TargetId } from '../../core/target.ts';
import type { ReadCredential, Reference } from '../../providers/credentials.ts';
import type { SecretProvider } from '../../providers/provider.ts';
import { createSourceReaders } from '../../providers/source-reader.ts';
import { type DesiredTarget, rightsOf, unresolvedTargets } from '../../reconcile/targets.ts';
import { expectedCalls } from '../expected-calls.ts';
import { includeError } from '../includes.ts';
import { checkChannels } from './channels.ts';
import { checkEvents } from './events.ts';
import { checkRestarts, requireRights } from './restarts.ts';
import { checkSignIn } from './sign-in.ts';
import { checkSources, type Finding } from './sources.ts';
import { checkTargets } from './targets.ts';

/**
 * Tests everything that a sync needs, and changes nothing. Each part is opened separately, so that one failure does not
 * hide another. Also plans each target, if all parts that every target needs work.
 */
export async function runDoctor(
  config: Config,
  deps: AppDeps,
  signal?: AbortSignal,
): Promise<readonly Finding[]> {
  const { clock } = deps;
  const findings: Finding[] = [];
  const attempt = attemptsIn(findings);
  for (const include of brokenIncludes(config))
    await attempt(`include ${include.path}`, () => Promise.reject(includeError(include)));
  await using stack = new AsyncDisposableStack();
  // Open the cluster early, because any credential may be stored in it. A failure to open the cluster is reported
  // below.
  const [opened] = await Promise.allSettled([openCluster(config.cluster, { ...deps, stop: signal })]);
  const cluster = opened.status === 'fulfilled' ? stack.use(opened.value) : undefined;
  const credential = credentialsOf(deps, async (name, key) => cluster?.ownSecret(name, key));
  const keyFindings: Finding[] = [];
  const keys = await checkFingerprintKeys(config, credential, attemptsIn(keyFindings));
  const written = await attempt(`audit: write ${auditAddress(config)}`, () =>
    checkAudit(config, deps, credential, keys),
  );
  if (written !== undefined) stack.use(written.audit);
  await attempt('cluster: configuration', async () => {
    if (opened.status === 'rejected') throw opened.reason;
  });
  if (written !== undefined && cluster !== undefined)
    await checkCheckpoints(config, { ...deps, audit: written.audit, cluster, credential }, written, attempt);
  const current = cluster && createCurrentConfig(config, cluster);
  const targets =
    (cluster && current && (await checkCluster(current, cluster, { clock, attempt }))) ??
    unresolvedTargets(config.mappings);

  append(findings, keyFindings);
  append(findings, await checkSignIn(config, { clock, credential }));
  if (keys === undefined) return findings;
  const { fingerprints } = keys;
  const storesDeps = { clock, fingerprints, credential };
  const stores = stack.use(createStores(config.stores, storesDeps));
  const open = (store: string) => stores.open(store);
  for (const { name } of config.stores)
    append(findings, await checkStore(config, name, () => open(name), signal));
  const broken = new Set(config.stores.map(({ name }) => name).filter((name) => hasFailed(findings, name)));
  const readers = createSourceReaders({ open });
  const reader = readers.reader({ signal, onRead: async () => undefined });
  const access = current?.access ?? createAccess(config);
  append(findings, await checkSources(config.mappings, { targets, access, broken, reader }));
  await checkEvents(config, { ...storesDeps, open, broken, attempt, signal });
  await checkChannels(config, storesDeps.credential, attempt);
  if (written === undefined || current === undefined || cluster === undefined) return findings;
  // Without these parts, a sync ends before it decides about any target.
  const isBlocked = findings.some(({ name, error }) => error && /^(keys|audit|cluster): /.test(name));
  const plan = { clock, cluster, current, keys, reader, stores, audit: written.audit };
  return isBlocked ? findings : [...findings, ...(await checkTargets(plan, signal))];
}

type Attempt = <T>(
  check: string | Pick<Finding, 'name' | 'about'>,
  work: () => Promise<T>,
) => Promise<T | undefined>;

/**
 * Returns a function that runs a check and adds a finding about it. The function returns undefined if the check fails.
 */
function attemptsIn(findings: Finding[]): Attempt {
  return async (check, work) => {
    const finding = typeof check === 'string' ? { name: check } : check;
    try {
      const result = await work();
      findings.push(finding);
      return result;
    } catch (thrown) {
      findings.push({ ...finding, error: toAppError(thrown) });
      return undefined;
    }
  };
}

async function checkCheckpoints(
  config: Config,
  deps: CheckpointDeps,
  { hasOthers }: { readonly hasOthers: boolean },
  attempt: Attempt,
): Promise<void> {
  if (config.audit.checkpoints.length === 0) return;
  const what = 'audit: checkpoints';
  if (hasOthers)
    await attempt(what, async () => {
      await requireTrustedAudit(config, deps);
      await testCheckpointPlaces(config, deps);
    });
  // This check appends a record, which may be the first record of the audit log. Then the log may be new, and the
  // checkpoints may belong to an older log. In this case, do not compare the log with the checkpoints. Only report
  // locations that cannot be read or written, because such a location would stop every run.
  else await testCheckpointPlaces(config, deps).catch((error) => attempt(what, () => Promise.reject(error)));
}

async function checkFingerprintKeys(
  { audit, keys }: Config,
  credential: ReadCredential,
  attempt: Attempt,
): Promise<InstallationKeys | undefined> {
  const mayCreate = audit.store.kind === 'sqlite';
  const open = (list: readonly Reference[]) => openKeys(list, { mayCreate, credential });
  const all = await attempt('keys: fingerprint', () => open(keys.fingerprint));
  if (all !== undefined) return all;
  // If only an older key is missing, test the stores with the newest key.
  const [newest] = await Promise.allSettled([open(keys.fingerprint.slice(0, 1))]);
  return newest.status === 'fulfilled' ? newest.value : undefined;
}

function auditAddress({ audit: { store } }: Config): string {
  return store.kind === 'sqlite' ? store.path : store.kind;
}

/**
 * Appends a record, because only a write proves that the store is writable. Without a key, nothing is appended: a record
 * without HMAC would look forged.
 */
async function checkAudit(
  config: Config,
  { clock, replica, actor }: AppDeps,
  credential: ReadCredential,
  keys: InstallationKeys | undefined,
): Promise<{ readonly audit: AuditStore; readonly hasOthers: boolean }> {
  const audit = await openAudit(config, { clock, replica, credential, keys: keys?.records ?? NO_KEYS });
  if (keys !== undefined) await audit.append([commandEntry(commandOf('doctor'), actor, randomUUID())]);
  else await audit.checkWritable();
  const { sequence } = await audit.head();
  return { audit, hasOthers: sequence > (keys === undefined ? 0 : 1) };
}

const NO_KEYS = {
  sign: (): string => {
    throw new AppError('CREDENTIAL_MISSING', { subject: 'keys.fingerprint' });
  },
};

/** Returns the resolved targets. Undefined if the cluster is unreachable. */
async function checkCluster(
  current: CurrentConfig,
  cluster: Cluster,
  { clock, attempt }: { readonly clock: Clock; readonly attempt: Attempt },
): Promise<readonly DesiredTarget[] | undefined> {
  const { config, access } = current;
  const reached = await attempt(`cluster: reach ${cluster.address}`, async () => {
    const { time } = await cluster.ping();
    const skewed = time === undefined ? undefined : clockSkewError(clock.now() - time, "the cluster's");
    if (skewed !== undefined) throw skewed;
    return true;
  });
  if (reached === undefined) return undefined;
  const targets = await current.resolve();
  for (const { mapping, error } of targets)
    if (error !== undefined)
      await attempt(`namespaces: select (mapping ${mapping.name})`, () => Promise.reject(error));
  const allowed: DesiredTarget[] = [];
  for (const target of targets.filter(({ error }) => error === undefined)) {
    const { mapping, id } = target;
    const barred = current.forbiddenTarget(mapping, id);
    if (barred !== undefined) await attempt(writeCheck(target), () => Promise.reject(barred));
    else if (access.allowsNamespace({ mapping, namespace: id.namespace })) allowed.push(target);
  }
  const creating = allowed.filter(({ mapping }) => mapping.target.mode === 'own');
  const unwritable = new Set<string>();
  const remedy = config.cluster.kind === 'directory' ? { remedy: FOLDER_PERMISSIONS_REMEDY } : {};
  for (const [namespace, [first]] of Map.groupBy(creating, ({ id }) => id.namespace)) {
    if (first === undefined) continue;
    const opened = await attempt(`namespace: create in ${namespace}`, () => tryCreate(cluster, first.id));
    if (opened === undefined) unwritable.add(namespace);
  }
  // Skip namespaces in which Secrets cannot be created. For such a namespace, a passed permission check would be
  // misleading.
  const open = allowed.filter(({ id }) => !unwritable.has(id.namespace));
  for (const target of open)
    await attempt(writeCheck(target), () =>
      requireRights(cluster, target.id, requiredVerbs(target.mapping), remedy),
    );
  await checkRestarts(cluster, open, attempt);
  return targets;
}

function writeCheck({ id, mapping: { name: mapping } }: DesiredTarget): Pick<Finding, 'name' | 'about'> {
  return { name: `target: write ${formatTarget(id)} (mapping ${mapping})`, about: { mapping, ...id } };
}

/**
 * Creates the Secret in a dry run, because only the API server can check the namespace, quotas and admission rules. A
 * Secret that exists already does not count as a failure.
 */
async function tryCreate(cluster: Cluster, id: TargetId): Promise<true> {
  const empty = { type: 'Opaque', immutable: false, labels: {}, annotations: {}, data: new Map() };
  await cluster.create(id, empty, { dryRun: true });
  return true;
}

function requiredVerbs(mapping: Mapping): readonly AccessRequest['verb'][] {
  const { deletes, merges } = rightsOf(mapping);
  return ['get', merges ? 'patch' : 'update', ...(deletes ? ['delete' as const] : [])];
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

/** Describes how many requests would be saved if the missing permission were granted. */
function savedCalls(
  config: Config,
  store: string,
  lacks: ReadonlySet<'list' | 'batch'>,
  saves: 'list' | 'batch',
): string {
  const target = unresolvedTargets(config.mappings);
  const perHour = (lacking: ReadonlySet<'list' | 'batch'>) =>
    expectedCalls(config, target, { lacks: lacking }).find((storeCalls) => storeCalls.store === store)
      ?.perHour ?? 0;
  const saved = perHour(lacks) - perHour(lacks.difference(new Set([saves])));
  return saved > 0 ? `; it would save up to ${saved} of ${perHour(lacks)} requests per hour` : '';
}

function hasFailed(findings: readonly Finding[], store: string): boolean {
  // Ignore clock skew here, because the clock skew does not prevent reads from the store.
  return findings.some(
    ({ name, error }) =>
      error !== undefined && error.code !== 'CLOCK_SKEWED' && name.startsWith(`store ${store}: `),
  );
}
