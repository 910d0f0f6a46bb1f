import { randomUUID } from 'node:crypto';
import type { AuditStore } from '../audit/store.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import type { Clock } from '../core/clock.ts';
import { AppError, toAppError } from '../core/errors.ts';
import { createFingerprinter } from '../core/fingerprint.ts';
import type { Source } from '../core/mapping.ts';
import { type ReadResult, refId } from '../core/reading.ts';
import { compareText } from '../core/target.ts';
import { resolveCredential } from '../providers/credentials.ts';
import { createReader } from '../providers/reader.ts';
import { commandEntry } from '../reconcile/recorder.ts';
import { sourcesOf, storeRef } from '../sync/desired.ts';
import { describeSource } from '../sync/value.ts';
import type { AppDeps } from './app.ts';
import { openAudit } from './audit.ts';
import { openCluster } from './cluster.ts';
import { fingerprintKey } from './keys.ts';
import { createStores } from './stores.ts';
import { targetsOf } from './targets.ts';

/** One question; the answer is the error, or that there is none. */
export interface Finding {
  readonly name: string;
  readonly error?: AppError;
}

/** Clocks further apart than this make tokens and certificates fail in ways that are hard to read. */
const MAX_SKEW_MS = 60_000;

/**
 * Tries everything that a sync needs, for real, and changes nothing. One part that does not work hides no other:
 * each is opened on its own.
 */
export async function examine(config: Config, deps: AppDeps): Promise<readonly Finding[]> {
  const { env, clock } = deps;
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
  const audit = await attempt(`audit: write ${auditAddress(config)}`, () => checkAudit(config, deps));
  if (audit !== undefined) stack.use(audit);
  const cluster = await attempt('cluster: configuration', async () =>
    stack.use(await openCluster(config.cluster, deps)),
  );
  if (cluster !== undefined) await checkCluster(config, cluster, clock, attempt);

  const secret = async (name: string, key: string) => cluster?.ownSecret(name, key);
  const credential = (reference: Parameters<typeof resolveCredential>[0]) =>
    resolveCredential(reference, { env, secret });
  const make = config.audit.store.kind === 'sqlite';
  const key = await attempt('keys: fingerprint', () =>
    fingerprintKey(config.keys.fingerprint, { make, credential }),
  );
  if (key === undefined) return findings;
  const stores = stack.use(
    createStores(config.stores, { clock, fingerprints: createFingerprinter(key), credential }),
  );
  for (const { name } of config.stores) findings.push(...(await checkStore(name, () => stores.open(name))));
  const broken = new Set(config.stores.map(({ name }) => name).filter((name) => hasFailed(findings, name)));
  findings.push(...(await checkSources(config, broken, (store) => stores.open(store))));
  return findings;
}

type Attempt = <T>(name: string, work: () => Promise<T>) => Promise<T | undefined>;

function auditAddress({ audit: { store } }: Config): string {
  return store.kind === 'sqlite' ? store.path : store.kind;
}

/** Only a record proves that one can be written. */
async function checkAudit(config: Config, { clock, replica, actor }: AppDeps): Promise<AuditStore> {
  const audit = await openAudit(config, { clock, replica });
  await audit.append([commandEntry('doctor', actor, randomUUID())]);
  return audit;
}

async function checkCluster(config: Config, cluster: Cluster, clock: Clock, attempt: Attempt): Promise<void> {
  const reached = await attempt(`cluster: reach ${cluster.address}`, async () => {
    const { time } = await cluster.ping();
    if (time !== undefined && Math.abs(time - clock.now()) > MAX_SKEW_MS) throw skewed(time - clock.now());
    return true;
  });
  if (reached === undefined) return;
  for (const { id, mapping } of targetsOf(config.mappings)) {
    const { namespace, secret } = id;
    await attempt(`target: write ${namespace}/${secret} (mapping ${mapping.name})`, async () => {
      const missing: string[] = [];
      for (const verb of ['get', 'create', 'update'] as const) {
        if (!(await cluster.may({ namespace, verb, ...(verb === 'create' ? {} : { secret }) })))
          missing.push(verb);
      }
      if (missing.length > 0)
        throw new AppError('CLUSTER_FORBIDDEN', { detail: `not allowed: ${missing.join(', ')}` });
    });
  }
}

function skewed(ms: number): AppError {
  const seconds = Math.round(Math.abs(ms) / 1000);
  return new AppError('CLOCK_SKEWED', {
    detail: `the clock there is ${seconds} s ${ms > 0 ? 'ahead' : 'behind'}`,
  });
}

async function checkStore(
  name: string,
  open: () => Promise<{ check(): Promise<readonly Finding[]> }>,
): Promise<readonly Finding[]> {
  try {
    const checks = await (await open()).check();
    return checks.map((check) => ({ ...check, name: `store ${name}: ${check.name}` }));
  } catch (thrown) {
    return [{ name: `store ${name}: open`, error: toAppError(thrown) }];
  }
}

function hasFailed(findings: readonly Finding[], store: string): boolean {
  return findings.some(({ name, error }) => error !== undefined && name.startsWith(`store ${store}: `));
}

/** Each source is read, by its own name, so that a missing permission shows with the key that needs it. */
async function checkSources(
  config: Config,
  broken: ReadonlySet<string>,
  open: Parameters<typeof createReader>[0]['open'],
): Promise<readonly Finding[]> {
  const reader = createReader({ open, onRead: async () => undefined });
  const sources = config.mappings.flatMap(sourcesOf).filter(({ store }) => !broken.has(store));
  const results = await reader.read(sources.map(storeRef));
  const findings = sources.map((source): Finding => {
    const error = sourceError(source, results.get(refId(storeRef(source))));
    const { property: _, ...whole } = source;
    return { name: `read ${describeSource(whole)}`, ...(error === undefined ? {} : { error }) };
  });
  return [...new Map(findings.map((it) => [it.name, it])).values()].sort((a, b) =>
    compareText(a.name, b.name),
  );
}

function sourceError(source: Source, result: ReadResult | undefined): AppError | undefined {
  if (result?.kind === 'failed') return result.error;
  return result?.kind === 'absent' && !source.optional ? new AppError('SOURCE_ABSENT') : undefined;
}
