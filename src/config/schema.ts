import { z } from 'zod';
import { DEFAULT_THROUGHPUT, ParameterStoreConfig } from '../providers/aws-parameter-store/config.ts';
import { AwsConfig } from '../providers/aws-secrets-manager/config.ts';
import { AzureConfig } from '../providers/azure-key-vault/config.ts';
import { FilesConfig } from '../providers/files/config.ts';
import { VaultConfig } from '../providers/vault/config.ts';
import { Audit, Cluster, Engine, Keys } from './shape/backends.ts';
import { ApprovalRule, ChangeWindow, PolicyRule } from './shape/change-control.ts';
import { Events } from './shape/events.ts';
import { duration, Name, rate, wholeNumber } from './shape/fields.ts';
import { Include } from './shape/include.ts';
import { Defaults, MappingConfig } from './shape/mapping.ts';
import { NotifyChannel } from './shape/notify.ts';
import { Absence, AccessRule, Brake, Http, Log, Restarts, Tracing } from './shape/service.ts';

/**
 * Fields that every store has in addition to the fields of its kind.
 * @param perSecond The default rate of its requests.
 */
const common = (perSecond = 1_000) => ({
  name: Name.meta({ description: 'Unique name of the store.' }),
  limits: z
    .strictObject({
      requestsPerSecond: rate(10_000).default(perSecond).meta({
        description:
          'Maximum requests per second. The rate drops for a while if the store throttles, leaves a fifth of the requests unanswered, or gets slow.',
      }),
      concurrency: wholeNumber(1, 1_000).default(16).meta({ description: 'Maximum concurrent requests.' }),
      timeout: duration().prefault('15s').meta({ description: 'Time limit for one response.' }),
    })
    .transform(({ timeout, ...limits }) => ({ ...limits, timeoutMs: timeout }))
    .prefault({})
    .meta({ description: 'Limits on the requests of each process to this store.' }),
});

export const StoreConfig = z.discriminatedUnion('kind', [
  ParameterStoreConfig.safeExtend(common(DEFAULT_THROUGHPUT)).meta({
    title: ParameterStoreConfig.meta()?.title ?? '',
  }),
  AwsConfig.safeExtend(common()).meta({ title: AwsConfig.meta()?.title ?? '' }),
  AzureConfig.safeExtend(common()).meta({ title: AzureConfig.meta()?.title ?? '' }),
  FilesConfig.safeExtend(common()).meta({ title: FilesConfig.meta()?.title ?? '' }),
  VaultConfig.safeExtend(common()).meta({ title: VaultConfig.meta()?.title ?? '' }),
]);
/** A store's name and limits, with the fields of its own kind. */
export type StoreConfig = z.output<typeof StoreConfig>;

/** The complete format. Types, validation, JSON Schema and the reference page derive from this schema. */
export const ConfigFile = z
  .strictObject({
    apiVersion: z.literal('secretbridge.dev/v1').meta({ description: 'Version of this format.' }),
    instance: Name.meta({
      description: "Name of this installation. Two instances never touch each other's targets.",
      examples: ['prod-eu'],
    }),
    formerInstances: z.array(Name).default([]).meta({
      description:
        'Earlier instance names, for example after a renaming. Targets of these names also belong to this instance.',
    }),
    include: z.array(Include).default([]).meta({ description: "Tenants' files." }),
    cluster: Cluster.prefault({ kind: 'kubernetes' }),
    engine: Engine.prefault({ kind: 'memory' }),
    audit: Audit.prefault({}),
    keys: Keys.prefault({}),
    http: Http.prefault({}),
    log: Log.prefault({}),
    tracing: Tracing.optional(),
    brake: Brake.prefault({}),
    absence: Absence.prefault({}),
    restarts: Restarts.prefault({}),
    events: Events.optional(),
    defaults: Defaults.prefault({}),
    stores: z.array(StoreConfig).default([]).meta({ description: 'The stores to read values from.' }),
    mappings: z
      .array(MappingConfig)
      .default([])
      .meta({ description: 'The Secrets to write, and their sources.' }),
    approvals: z.array(ApprovalRule).default([]).meta({
      description: 'The actions that need the approval of a second person.',
    }),
    windows: z
      .array(ChangeWindow)
      .default([])
      .meta({ description: 'When targets may change. Default: at any time.' }),
    notify: z.array(NotifyChannel).default([]).meta({
      description: 'Messages about troubles: webhooks, Slack and e-mail.',
    }),
    policies: z.array(PolicyRule).default([]).meta({
      description: 'What targets must be like: names, keys, labels, stores, and the age of values.',
    }),
    access: z.array(AccessRule).optional().meta({
      description:
        'If set, only sources that a rule allows are read. Any other source is refused before any read.',
    }),
  })
  .meta({ title: 'secretbridge configuration' });

/** Sections that several files may contain. Their entries are combined. */
export const LIST_SECTIONS = [
  'formerInstances',
  'include',
  'stores',
  'mappings',
  'approvals',
  'windows',
  'policies',
  'notify',
  'access',
] as const;

/**
 * Returns the JSON Schema of the configuration, for editors. No section is required, because several files can make up
 * one configuration.
 */
export function configurationSchema(): string {
  const { required: _, ...schema } = z.toJSONSchema(ConfigFile, { io: 'input' });
  return `${JSON.stringify(schema, null, 2)}\n`;
}
