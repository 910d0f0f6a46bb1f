import type { SecretMeta } from '../cluster/cluster.ts';
import type { Config } from '../config/config.ts';
import { isPlain, refId, type StoreRef } from '../core/reading.ts';
import { formatTarget, type TargetId } from '../core/target.ts';
import { expectedReads } from '../reconcile/ahead.ts';
import type { Outcome } from '../reconcile/outcome.ts';
import type { Wanted } from '../reconcile/targets.ts';
import type { Pass } from '../service/runs/pass.ts';
import type { Ages } from '../service/sweep/ages.ts';
import { looksInStep, versionsOf } from '../service/sweep/judge.ts';
import { isSpread } from '../sync/desired.ts';
import { abilitiesOf } from './abilities.ts';
import type { App } from './app.ts';

type SurveyApp = {
  readonly config: Pick<Config, 'cluster' | 'stores'>;
  readonly cluster: Pick<App['cluster'], 'watch'>;
};
type SurveyPass = Pick<Pass, 'instance' | 'stores' | 'versions' | 'allows'>;

/** Fewer targets than this are looked at one by one: a list would not be worth its request. */
const FEW = 20;

export interface Survey {
  /** The targets that need no run. */
  readonly inStep: ReadonlyMap<Wanted, Outcome>;
  /** Whether a target was in no list that should have it. */
  isMissing(id: TargetId): boolean;
}

/**
 * What a run may be spared, by what sweeps of the service go by: the metadata of the Secrets, one list for each
 * namespace, and the versions that the stores tell of without a value. Whatever is not plain from these is not in
 * step. Changes nothing, and decides nothing that a store or the cluster did not say.
 */
export async function survey(
  app: SurveyApp,
  pass: SurveyPass,
  wanted: readonly Wanted[],
  ages?: Pick<Ages, 'note'>,
): Promise<Survey> {
  const candidates = wanted.filter((it) => mayBeTold(app, pass, it));
  if (candidates.length < FEW) return { inStep: new Map(), isMissing: () => false };
  const listed = await listsOf(
    app,
    candidates.map(({ id }) => id),
  );
  const metas = new Map([...listed.values()].flat().map((meta) => [formatTarget(meta.id), meta]));
  const { instance, stores } = pass;
  const looked = candidates.flatMap((it) => {
    const meta = metas.get(formatTarget(it.id));
    return meta !== undefined && looksInStep(meta, { mapping: it.mapping, instance, stores })
      ? [{ it, meta }]
      : [];
  });
  const current = await currentVersions(
    pass,
    looked.flatMap(({ it }) => expectedReads([it], pass)),
    ages,
  );
  const told = new Map<Wanted, Outcome>();
  for (const { it, meta } of looked) {
    const made = versionsOf(meta, it.mapping);
    const isCurrent = (id: string) => made.get(id) !== undefined && made.get(id) === current.get(id);
    if (expectedReads([it], pass).map(refId).every(isCurrent)) told.set(it, unchanged(it, meta));
  }
  const isMissing = (id: TargetId) => listed.has(id.namespace) && !metas.has(formatTarget(id));
  return { inStep: told, isMissing };
}

/** Whether a list can tell at all: of the current versions of keys in stores that have such lists. */
function mayBeTold({ config }: SurveyApp, pass: SurveyPass, it: Wanted): boolean {
  const { cluster } = config;
  // By its name alone, a list of one Secret costs as much as the Secret.
  if (cluster.kind !== 'kubernetes' || cluster.scope !== 'namespace') return false;
  if (it.error !== undefined || it.mapping.target.mode !== 'own') return false;
  if (!it.mapping.dataFrom.every(isSpread)) return false;
  const refs = expectedReads([it], pass);
  return (
    refs.length > 0 &&
    refs.every(({ store, ref }) => isPlain(ref) && abilitiesOf(config, store)?.tellVersions === true)
  );
}

/** By namespace, of those that can be listed. */
async function listsOf(
  { cluster }: SurveyApp,
  ids: readonly TargetId[],
): Promise<ReadonlyMap<string, readonly SecretMeta[]>> {
  const namespaces = [...new Set(ids.map(({ namespace }) => namespace))];
  const found = await Promise.all(
    namespaces.map(async (namespace) => [namespace, await listOnce(cluster, namespace)] as const),
  );
  return new Map(found.flatMap(([namespace, metas]) => (metas === undefined ? [] : [[namespace, metas]])));
}

async function listOnce(
  { watch }: SurveyApp['cluster'],
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
  pass: SurveyPass,
  refs: readonly StoreRef[],
  ages: Pick<Ages, 'note'> | undefined,
): Promise<ReadonlyMap<string, string>> {
  const once = [...new Map(refs.map((ref) => [refId(ref), ref])).values()];
  const byStore = [...Map.groupBy(once, ({ store }) => store)];
  const told = byStore.map(async ([store, all]) => {
    const versions = await pass.versions(
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

function unchanged({ mapping, id }: Wanted, { ours, resourceVersion }: SecretMeta): Outcome {
  const keys = (ours?.data ?? []).toSorted().map((name) => ({ name, action: 'keep' as const }));
  return { kind: 'unchanged', mapping: mapping.name, target: id, keys, alive: true, resourceVersion };
}
