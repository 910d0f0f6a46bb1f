import { describe, expect, it } from 'vitest';
import type { AppError } from '../../src/core/errors.ts';
import type { ClusterHarness } from './cluster-harness.ts';

/** Registers tests for a cluster whose identity may watch namespaces. */
export function describeNamespaceWatch(name: string, open: () => Promise<ClusterHarness>): void {
  describe(`${name}: watches of namespaces`, () => {
    it("reports a change of a namespace's labels that affects a selector", async () => {
      await using h = await open();
      await h.put({ namespace: h.namespace, secret: 'foreign' }, { data: {} });
      const selected = () => h.cluster.namespaces({ matchLabels: { team: h.namespace } });
      const errors: AppError[] = [];
      let changes = 0;
      let progress = 0;
      const watch = h.cluster.watchNamespaces({
        changed() {
          changes += 1;
        },
        progress(error) {
          progress += 1;
          if (error !== undefined) errors.push(error);
        },
      });
      await expect.poll(() => changes, { timeout: 5_000, interval: 10 }).toBeGreaterThan(0);
      expect(await selected()).toEqual([]);
      let before = changes;
      await h.label({ team: h.namespace });
      await expect.poll(() => changes, { timeout: 5_000, interval: 10 }).toBeGreaterThan(before);
      expect(await selected()).toEqual([h.namespace]);
      before = changes;
      await h.label({ team: 'another' });
      await expect.poll(() => changes, { timeout: 5_000, interval: 10 }).toBeGreaterThan(before);
      expect(await selected()).toEqual([]);
      await watch[Symbol.asyncDispose]();
      expect(progress).toBeGreaterThan(0);
      expect(errors).toEqual([]);
    });
  });
}
