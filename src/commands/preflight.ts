import type { App } from '../app/app.ts';
import { capabilitiesOf } from '../app/stores.ts';
import type { SecretMeta } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { isCurrentSecretRef, refId, type StoreRef } from '../core/read-result.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { cheapestStrategy } from '../providers/read-strategy.ts';
import type { SyncContext } from '../reconcile/context.ts';
import { expectedReads } from '../reconcile/context.ts';
import { looksInSync, sourceVersionsOf } from '../reconcile/in-sync.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { DesiredTarget } from '../reconcile/targets.ts';
import type { SourceAges } from '../service/sweep/source-ages.ts';
import { isSpread } from '../sync/desired.ts';
import { abilitiesOf } from './expected-calls.ts';

type PreflightApp = {
  readonly config: Pick<Config, 'cluster' | 'stores'>;
  readonly cluster: Pick<App['cluster'], 'watch'>;
};
type PreflightContext = Pick<SyncContext, 'instance' | 'stores' | 'versions' | 'allows' | 'forbiddenTarget'>;

/** Minimum number of calls that a sync without a preflight needs. A smaller sync is fast enough. */
const MIN_CALLS = 20;

export interface Preflight {
  /** Targets that are already in sync. */
  readonly inSync: ReadonlyMap<DesiredTarget, Outcome>;
  /** Whether the namespace was listed and does not contain the target. */
  isMissing(id: TargetId): boolean;
}

/**
 * Finds the targets that are already in sync and so need no full run. Compares the metadata of their Secrets, from one
 * list per namespace, with the current versions in the stores. Omits every target whose state is uncertain. Changes
 * nothing.
 */
export async function preflight(
  app: PreflightApp,
  context: PreflightContext,
  wanted: readonly DesiredTarget[],
  ages?: Pick<SourceAges, 'note'>,
): Promise<Preflight> {
  const candidates = wanted.filter((candidate) => isListable(app, context, candidate));
  if (!isWorthListing(app, context, candidates)) return { inSync: new Map(), isMissing: () => false };
  const listed = await listNamespaces(
    app,
    candidates.map(({ id }) => id),
  );
  const metas = new Map([...listed.values()].flat().map((meta) => [formatTarget(meta.id), meta]));
  const { instance, stores } = context;
  const unchangedMeta = candidates.flatMap((candidate) => {
    const meta = metas.get(formatTarget(candidate.id));
    return meta !== undefined && looksInSync(meta, { mapping: candidate.mapping, instance, stores })
      ? [{ target: candidate, meta }]
      : [];
  });
  const current = await currentVersions(
    context,
    unchangedMeta.flatMap(({ target }) => expectedReads([target], context)),
    ages,
  );
  const inSync = new Map<DesiredTarget, Outcome>();
  for (const { target, meta } of unchangedMeta) {
    const writtenVersions = sourceVersionsOf(meta, target.mapping);
    const isCurrent = (id: string) =>
      writtenVersions.get(id) !== undefined && writtenVersions.get(id) === current.get(id);
    if (expectedReads([target], context).map(refId).every(isCurrent))
      inSync.set(target, unchanged(target, meta));
  }
  const isMissing = (id: TargetId) => listed.has(id.namespace) && !metas.has(formatTarget(id));
  return { inSync, isMissing };
}

/**
 * Whether a target can be checked with lists alone. A list is only enough for plain keys, in stores whose lists contain
 * versions.
 */
function isListable({ config }: PreflightApp, context: PreflightContext, wanted: DesiredTarget): boolean {
  const { cluster } = config;
  // With the cluster scope `names`, only named Secrets can be accessed. Listing one of them costs as much as reading
  // it.
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

/** Whether the lists need fewer calls than the runs of all candidates. A run reads its Secret and its keys. */
function isWorthListing(
  { config }: PreflightApp,
  context: PreflightContext,
  candidates: readonly DesiredTarget[],
): boolean {
  let reads = candidates.length;
  let lists = new Set(candidates.map(({ id }) => id.namespace)).size;
  for (const [name, refs] of Map.groupBy(expectedReads(candidates, context), ({ store }) => store)) {
    const store = config.stores.find((other) => other.name === name);
    if (store === undefined) continue;
    const keys = new Set(refs.map(refId)).size;
    const abilities = abilitiesOf(store);
    reads += Math.ceil(keys / abilities.readsPerCall);
    lists += cheapestStrategy(keys, abilities).calls;
  }
  return reads >= MIN_CALLS && lists < reads;
}

/** Returns the Secrets' metadata by namespace. Namespaces that cannot be listed are omitted. */
async function listNamespaces(
  { cluster }: PreflightApp,
  ids: readonly TargetId[],
): Promise<ReadonlyMap<string, readonly SecretMeta[]>> {
  const namespaces = [...new Set(ids.map(({ namespace }) => namespace))];
  const lists = await Promise.all(
    namespaces.map(async (namespace) => [namespace, await listOnce(cluster, namespace)] as const),
  );
  return new Map(lists.flatMap(([namespace, metas]) => (metas === undefined ? [] : [[namespace, metas]])));
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
      deleted: () => undefined,
      progress: (error) => error && listed.resolve(undefined),
    },
  );
  return await listed.promise;
}

/** Returns those current versions that could be found. The keys of the result are `refId`s. */
async function currentVersions(
  context: PreflightContext,
  refs: readonly StoreRef[],
  ages: Pick<SourceAges, 'note'> | undefined,
): Promise<ReadonlyMap<string, string>> {
  const once = [...new Map(refs.map((ref) => [refId(ref), ref])).values()];
  const byStore = [...Map.groupBy(once, ({ store }) => store)];
  const versionEntries = byStore.map(async ([store, all]) => {
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
  return new Map((await Promise.all(versionEntries)).flat());
}

function unchanged({ mapping, id }: DesiredTarget, { ours, resourceVersion }: SecretMeta): Outcome {
  const keys = (ours?.data ?? []).toSorted().map((name) => ({ name, action: 'keep' as const }));
  return { kind: 'unchanged', mapping: mapping.name, target: id, keys, alive: true, resourceVersion };
}
