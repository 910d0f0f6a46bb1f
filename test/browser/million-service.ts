import type { HeldStatus, Service } from '../../src/service/service.ts';
import { sourceOf, targetsOf } from './history.ts';
import { MAPPINGS } from './million-records.ts';
import { STATUS, target } from './scene.ts';

/** Returns the service whose past is the million records: 10,000 Secrets, with these deletions on hold. */
export function millionService(held: readonly HeldStatus[] = []): Partial<Service> {
  const targets = Array.from({ length: MAPPINGS }, (_, n) =>
    targetsOf(n).map(({ mapping, namespace, secret }) => target(mapping, namespace, secret)),
  );
  const mappings = targets.map((ofMapping, n) => ({
    ...{ mapping: `app-${n}`, refreshSeconds: 600, searches: [] },
    sources: [{ store: sourceOf(n, 1).store, key: sourceOf(n, 1).key }],
    targets: ofMapping,
  }));
  const status = { ...STATUS, targets: targets.flat(), held };
  return {
    status: async () => status,
    mappings: () => mappings,
    mapping: (name) => mappings.find(({ mapping }) => mapping === name),
    held: () => held,
  };
}
