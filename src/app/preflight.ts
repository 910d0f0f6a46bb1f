import type { SecretMeta } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { isCurrentSecretRef, refId, type StoreRef } from '../core/read-result.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { expectedReads } from '../reconcile/prefetch.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { SyncContext } from '../service/runs/sync-context.ts';
import type { SourceAges } from '../service/sweep/source-ages.ts';
import { looksInSync, sourceVersionsOf } from '../service/sweep/in-sync.ts';
import { isSpread } from '../sync/desired.ts';
import { capabilitiesOf } from './capabilities.ts';
import type { App } from './app.ts';

type PreflightApp = {
  readonly config: Pick<Config, 'cluster' | 'stores'>;
  readonly cluster: Pick<App['cluster'], 'watch'>;
};
type PreflightContext = Pick<SyncContext, 'instance' | 'stores' | 'versions' | 'allows'>;

/** Fewer targets than this are looked at one by one: a list would not be worth its request. */
const MIN_TARGETS = 20;

export interface Preflight {
  /** The targets that need no run. */
  readonly inStep: ReadonlyMap<DesiredTarget, Outcome>;
  /** Whether a target was in no list that should have it. */
  isMissing(id: TargetId): boolean;
}

/**
 * What a run may be spared, by what sweeps of the service go by: the metadata of the Secrets, one list for each
 * namespace, and the versions that the stores tell of without a value. Whatever is not plain from these is not in step.
 * Changes nothing, and decides nothing that a store or the cluster did not say.
 */
export async function preflight(
  app: PreflightApp,
  context: PreflightContext,
  wanted: readonly DesiredTarget[],
  ages?: Pick<SourceAges, 'note'>,
): Promise<Preflight> {
  const candidates = wanted.filter((it) => isListable(app, context, it));
  if (candidates.length < MIN_TARGETS) return { inStep: new Map(), isMissing: () => false };
  const listed = await listNamespaces(
    app,
    candidates.map(({ id }) => id),
  );
  const metas = new Map([...listed.values()].flat().map((meta) => [formatTarget(meta.id), meta]));
  const { instance, stores } = context;
  const looked = candidates.flatMap((candidate) => {
    const meta = metas.get(formatTarget(candidate.id));
    return meta !== undefined && looksInSync(meta, { mapping: candidate.mapping, instance, stores })
      ? [{ it: candidate, meta }]
      : [];
  });
  const current = await currentVersions(
    context,
    looked.flatMap(({ it }) => expectedReads([it], context)),
    ages,
  );
  const told = new Map<DesiredTarget, Outcome>();
  for (const { it, meta } of looked) {
    const made = sourceVersionsOf(meta, it.mapping);
    const isCurrent = (id: string) => made.get(id) !== undefined && made.get(id) === current.get(id);
    if (expectedReads([it], context).map(refId).every(isCurrent)) told.set(it, unchanged(it, meta));
  }
  const isMissing = (id: TargetId) => listed.has(id.namespace) && !metas.has(formatTarget(id));
  return { inStep: told, isMissing };
}

/** Whether a list can tell at all: of the current versions of keys in stores that have such lists. */
function isListable({ config }: PreflightApp, context: PreflightContext, wanted: DesiredTarget): boolean {
  const { cluster } = config;
  // By its name alone, a list of one Secret costs as much as the Secret.
  if (cluster.kind !== 'kubernetes' || cluster.scope !== 'namespace') return false;
  if (wanted.error !== undefined || wanted.mapping.target.mode !== 'own') return false;
  if (!wanted.mapping.dataFrom.every(isSpread)) return false;
  const refs = expectedReads([wanted], context);
  return (
    refs.length > 0 &&
    refs.every(
      ({ store, ref }) => isCurrentSecretRef(ref) && capabilitiesOf(config, store)?.tellVersions === true,
    )
  );
}

/** By namespace, of those that can be listed. */
async function listNamespaces(
  { cluster }: PreflightApp,
  ids: readonly TargetId[],
): Promise<ReadonlyMap<string, readonly SecretMeta[]>> {
  const namespaces = [...new Set(ids.map(({ namespace }) => namespace))];
  const found = await Promise.all(
    namespaces.map(async (namespace) => [namespace, await listOnce(cluster, namespace)] as const),
  );
  return new Map(found.flatMap(([namespace, metas]) => (metas === undefined ? [] : [[namespace, metas]])));
}

async function listOnce(
  { watch }: PreflightApp['cluster'],
  namespace: string,
): Promise<readonly SecretMeta[] | undefined> {
  const listed = Promise.withResolvers<readonly SecretMeta[] | undefined>();
  await using _ = watch(
    { namespace },
    {
      listed: listed.resolve,
      changed: () => undefined,
      gone: () => undefined,
      progress: (error) => error && listed.resolve(undefined),
    },
  );
  return await listed.promise;
}

/** By `refId`, of those that are known. */
async function currentVersions(
  context: PreflightContext,
  refs: readonly StoreRef[],
  ages: Pick<SourceAges, 'note'> | undefined,
): Promise<ReadonlyMap<string, string>> {
  const once = [...new Map(refs.map((ref) => [refId(ref), ref])).values()];
  const byStore = [...Map.groupBy(once, ({ store }) => store)];
  const told = byStore.map(async ([store, all]) => {
    const versions = await context.versions(
      store,
      all.map(({ ref }) => ref.key),
    );
    return all.flatMap((ref, index): [string, string][] => {
      const version = versions[index];
      if (version?.kind !== 'known') return [];
      ages?.note(store, ref.ref.key, version);
      return [[refId(ref), version.version]];
    });
  });
  return new Map((await Promise.all(told)).flat());
}

function unchanged({ mapping, id }: DesiredTarget, { ours, resourceVersion }: SecretMeta): Outcome {
  const keys = (ours?.data ?? []).toSorted().map((name) => ({ name, action: 'keep' as const }));
  return { kind: 'unchanged', mapping: mapping.name, target: id, keys, alive: true, resourceVersion };
}
