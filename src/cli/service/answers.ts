import { z } from 'zod';
import { PLAN_ACTIONS, SYNC_STATES, UPDATE_KINDS } from '../../core/words.ts';

// The parts of API responses that the commands read. All other fields are printed unchanged.

const Health = z.enum(['up', 'degraded', 'down']);

const Target = z.looseObject({
  mapping: z.string(),
  namespace: z.string(),
  secret: z.string(),
  code: z.string().optional(),
  message: z.string().optional(),
  remedy: z.string().optional(),
});

const KeyChange = z.looseObject({ name: z.string(), action: z.enum(['add', 'change', 'remove', 'keep']) });

const Held = z.looseObject({
  id: z.string(),
  mapping: z.string(),
  namespace: z.string(),
  secret: z.string(),
  action: z.string(),
  keys: z.array(KeyChange),
  reason: z.string().optional(),
  since: z.string().optional(),
});
export type Held = z.output<typeof Held>;

const part = z.looseObject({ kind: z.string(), state: Health, code: z.string().optional() });

export const StatusAnswer = z.looseObject({
  instance: z.string(),
  version: z.string(),
  engine: part,
  audit: part.extend({ sequence: z.number(), unverifiable: z.number().optional() }),
  // Older services omit this field.
  warnings: z
    .array(
      z.looseObject({
        code: z.string(),
        namespace: z.string().optional(),
        secret: z.string().optional(),
        message: z.string(),
      }),
    )
    .optional(),
  cluster: part.optional(),
  config: z
    .looseObject({
      valid: z.boolean(),
      problems: z.array(z.unknown()),
      differing: z.array(z.string()).optional(),
    })
    .optional(),
  // Older services omit this field.
  includes: z
    .array(z.looseObject({ path: z.string(), state: z.string(), problems: z.array(z.unknown()) }))
    .optional(),
  stores: z.array(
    part.extend({
      name: z.string(),
      // Older services omit this field if there was no success.
      lastSuccess: z.string().nullish(),
      breakerOpen: z.boolean().optional(),
      way: z.string().optional(),
      callsPerHour: z.number().optional(),
      expectedCallsPerHour: z.number().optional(),
    }),
  ),
  // Older services omit this field.
  events: z.array(part.extend({ name: z.string(), lastEvent: z.string().optional() })).optional(),
  // Older services omit this field.
  notify: z.array(part.extend({ name: z.string(), lastSuccess: z.string().optional() })).optional(),
  targets: z.array(
    Target.extend({
      // A newer service may report further states. A target in such a state counts as out of sync.
      state: z.union([z.enum(SYNC_STATES), z.string()]),
      staleSeconds: z.number().nullish(),
      pinned: z.number().optional(),
    }),
  ),
  held: z.array(Held),
});
export type StatusAnswer = z.output<typeof StatusAnswer>;
export type StatusTarget = StatusAnswer['targets'][number];

export const SyncResult = z.looseObject({
  ok: z.boolean(),
  requestId: z.string(),
  summary: z.record(z.string(), z.number()),
  targets: z.array(Target.extend({ outcome: z.string(), keys: z.array(KeyChange) })),
  held: z.array(Held),
  // Older services omit this field.
  warnings: z
    .array(
      z.looseObject({ code: z.string(), namespace: z.string(), secret: z.string(), message: z.string() }),
    )
    .default([]),
  pending: z.number().default(0),
});
export type SyncResult = z.output<typeof SyncResult>;
export type SyncedTarget = SyncResult['targets'][number];

/** Orphaned targets that `prune` did not delete. */
const SkippedOrphans = z.object({
  waiting: z
    .array(
      z.looseObject({
        mapping: z.string(),
        namespace: z.string(),
        secret: z.string(),
        until: z.looseObject({ namespace: z.string(), secret: z.string() }),
      }),
    )
    .optional(),
  unseen: z.array(z.looseObject({ what: z.string(), code: z.string() })).optional(),
});
export type SkippedOrphans = z.output<typeof SkippedOrphans>;

const PlannedKey = KeyChange.extend({ before: z.string().optional(), after: z.string().optional() });

export const OrphansAnswer = SkippedOrphans.extend({
  targets: z.array(Target.extend({ keys: z.array(PlannedKey) })),
});
export type OrphansAnswer = z.output<typeof OrphansAnswer>;

export const PlanAnswer = z.looseObject({
  changes: z.number(),
  targets: z.array(
    Target.extend({
      action: z.enum(PLAN_ACTIONS),
      how: z.enum(UPDATE_KINDS).optional(),
      keys: z.array(PlannedKey),
      pinned: z.number().optional(),
    }),
  ),
});
export type PlanAnswer = z.output<typeof PlanAnswer>;

export const PruneResult = SyncResult.extend(SkippedOrphans.shape);
export type PruneResult = z.output<typeof PruneResult>;

export const MappingList = z.looseObject({
  mappings: z.array(z.looseObject({ mapping: z.string() })),
  next: z.string().optional(),
});

export const HeldList = z.looseObject({ held: z.array(Held), next: z.string().optional() });

export const AuditRecordAnswer = z.looseObject({ sequence: z.number(), action: z.string() });
