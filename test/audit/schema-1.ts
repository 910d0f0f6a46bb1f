import type { AuditStore } from '../../src/audit/store.ts';
import { verify } from '../../src/audit/verify/verify.ts';

/** Query results on the records of `fixtures/*-schema-1.sql`, compared before and after the migration. */
export async function answersOf(store: AuditStore): Promise<object> {
  return {
    proof: await verify(store.storedRecords(1), { until: await store.head() }),
    base: await store.base(),
    targets: (await store.targets()).map(({ namespace, secret }) => `${namespace}/${secret}`).sort(),
    mapping: await store.list({ mapping: 'm1', action: 'create' }, { limit: 5 }),
    unreviewed: (await store.list({ review: 'unreviewed' }, { limit: 3 })).map(({ sequence }) => sequence),
    reviewed: await store.list({ review: 'reviewed' }, { limit: 3 }),
    reviews: await store.reviews([1, 2, 3]),
    latest: await store.latest({ store: 'team-vault', key: 'k/2' }, ['read']),
    none: await store.latest({ secret: 'none' }, ['read']),
    get: await store.get(60),
  };
}
