import type { Mapping, Source } from '../core/mapping.ts';
import type { PlanInput } from '../sync/plan-types.ts';
import type { RecordLookup } from './record-lookup.ts';

type Target = Pick<PlanInput, 'id' | 'mapping' | 'desired' | 'live'>;
type Absences = Pick<PlanInput, 'isProvenAbsent' | 'awaitedConfirmation' | 'isWrittenWithout'>;

/** Returns what the audit says about the absent sources of a target. */
export async function lookUpAbsences(target: Target, records: RecordLookup): Promise<Absences> {
  const { mapping, desired, live } = target;
  const absent = desired.kind === 'ready' ? desired.absent : [];
  const proven = await select(absent, (source) => records.isProvenAbsent(source, mapping));
  const awaited = await awaitedConfirmations(absent, mapping, records);
  // For an existing Secret in own mode, the audit is not needed. Either its annotation shows the removed sources, or
  // the Secret is foreign and we never wrote it.
  const mayBeLost = live === undefined || mapping.target.mode === 'merge';
  const without = mayBeLost ? await writtenWithout(proven, target, records) : [];
  return {
    isProvenAbsent: (source) => proven.includes(source),
    awaitedConfirmation: (source) => awaited.get(source),
    isWrittenWithout: (source) => without.includes(source),
  };
}

async function select(
  sources: readonly Source[],
  isSelected: (source: Source) => Promise<boolean>,
): Promise<readonly Source[]> {
  const verdicts = await Promise.all(sources.map(isSelected));
  return sources.filter((_, index) => verdicts[index]);
}

/** Returns the optional sources whose absence still needs confirmation, with the time after which a read can give it. */
async function awaitedConfirmations(
  absent: readonly Source[],
  mapping: Mapping,
  records: RecordLookup,
): Promise<ReadonlyMap<Source, number | undefined>> {
  const optional = absent.filter((source) => source.optional);
  const times = optional.map(
    async (source) => [source, await records.awaitedConfirmation(source, mapping)] as const,
  );
  return new Map(await Promise.all(times));
}

/** Returns those absent sources whose keys are already gone from the target, according to the audit. */
async function writtenWithout(
  absent: readonly Source[],
  { id, mapping: { name, onSourceMissing } }: Target,
  records: RecordLookup,
): Promise<readonly Source[]> {
  if (onSourceMissing !== 'removeKeys') return [];
  return select(absent, (source) => records.isWrittenWithout(name, id, source));
}
