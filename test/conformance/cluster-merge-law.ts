import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { type ClusterHarness, dataAsText, mergeManifest, readNow } from './cluster-harness.ts';

const KEYS = ['a', 'b', 'c'] as const;
const VALUES = ['1', '2'] as const;
const MANAGERS = ['secretbridge.test.one', 'secretbridge.test.two'] as const;

type Key = (typeof KEYS)[number];
type Data = Partial<Record<Key, string>>;
type Step =
  | { readonly by: 'hand'; readonly key: Key; readonly value: string | null }
  | { readonly by: 'merge'; readonly manager: string; readonly data: Data };

const key = fc.constantFrom(...KEYS);
const value = fc.constantFrom(...VALUES);
const data: fc.Arbitrary<Data> = fc.dictionary(key, value);

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ by: fc.constant('hand' as const), key, value: fc.option(value, { freq: 3 }) }),
  fc.record({ by: fc.constant('merge' as const), manager: fc.constantFrom(...MANAGERS), data }),
);
const steps = fc.array(step, { minLength: 1, maxLength: 8 });

/** Creates a small model of server-side apply. The model knows for each key the managers that own it. */
function createModel(foreignData: Data) {
  const fields = new Map(
    Object.entries(foreignData).map(([name, text]) => [
      name,
      { text, hand: true, managers: new Set<string>() },
    ]),
  );
  return {
    hand(name: string, text: string | null): void {
      if (text === null) fields.delete(name);
      else if (fields.get(name)?.text !== text) fields.set(name, { text, hand: true, managers: new Set() });
    },
    /** Merges keys into the model. Returns the keys that conflict. */
    merge(manager: string, desired: Data): readonly string[] {
      const conflicts = Object.entries(desired).filter(([name, text]) => {
        const field = fields.get(name);
        const isExclusive = field?.managers.has(manager) && field.managers.size === 1 && !field.hand;
        return field !== undefined && field.text !== text && !isExclusive;
      });
      if (conflicts.length > 0) return conflicts.map(([name]) => name).sort();
      for (const [name, field] of fields) {
        if (name in desired || !field.managers.delete(manager)) continue;
        if (field.managers.size === 0 && !field.hand) fields.delete(name);
      }
      for (const [name, text] of Object.entries(desired)) {
        const field = fields.get(name) ?? { text, hand: false, managers: new Set<string>() };
        fields.set(name, { ...field, text, managers: field.managers.add(manager) });
      }
      return [];
    },
    data: () => Object.fromEntries([...fields].map(([name, { text }]) => [name, text])),
    heldBy: (manager: string) =>
      [...fields]
        .filter(([, { managers }]) => managers.has(manager))
        .map(([name]) => name)
        .sort(),
    /** Returns the data that remains after all mappings have ended. */
    theirs: () =>
      Object.fromEntries([...fields].filter(([, { hand }]) => hand).map(([name, { text }]) => [name, text])),
  };
}

export interface MergeLawOptions {
  readonly runs: number;
  /** Whether the cluster notices a manual edit that restores a previous value. */
  readonly seesReverts: boolean;
}

/**
 * Registers a property test with any sequence of edits and merges. Afterwards, each key must have the owner that it
 * would have with server-side apply. When all mappings have ended, only the keys of other writers must remain.
 */
export function describeMergeLaw(open: () => Promise<ClusterHarness>, options: MergeLawOptions): void {
  it('assigns each key to the owner that the model predicts, and keeps all keys of other writers unchanged', async () => {
    await using h = await open();
    const id = { namespace: h.namespace, secret: 'foreign' };
    let edits = 0;
    const checkSteps = async (foreignData: Data, stepsToRun: readonly Step[]) => {
      const model = createModel(foreignData);
      await h.put(id, { data: encoded(foreignData) });
      const merge = async (manager: string, desired: Data) => {
        const conflicts = model.merge(manager, desired);
        const live = await readNow(h.cluster, id);
        const result = await h.cluster.merge(
          live,
          mergeManifest(desired as Record<string, string>, { manager }),
        );
        expect(result.kind === 'conflict' ? result.keys : []).toEqual(conflicts);
      };
      const compare = async () => {
        const live = await readNow(h.cluster, id);
        expect(dataAsText(live.data)).toEqual(model.data());
        for (const manager of MANAGERS)
          expect(h.cluster.mergedKeys(live, manager)).toEqual(model.heldBy(manager));
      };
      for (const step of stepsToRun) {
        if (step.by === 'merge') await merge(step.manager, step.data);
        else {
          edits += 1;
          const text = step.value === null || options.seesReverts ? step.value : `edit ${edits}`;
          model.hand(step.key, text);
          await h.edit(id, { data: text === null ? { [step.key]: null } : encoded({ [step.key]: text }) });
        }
        await compare();
      }
      const remaining = model.theirs();
      for (const manager of MANAGERS) await merge(manager, {});
      expect(dataAsText((await readNow(h.cluster, id)).data)).toEqual(remaining);
    };
    await fc.assert(
      fc.asyncProperty(data, steps, checkSteps).afterEach(async () => {
        if ((await h.cluster.read(id)) !== undefined) await h.remove(id);
      }),
      { numRuns: options.runs },
    );
  });
}

function encoded(texts: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, Buffer.from(text ?? '').toString('base64')]),
  );
}
