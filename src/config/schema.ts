import { z } from 'zod';
import { AwsConfig } from '../providers/aws-secrets-manager/config.ts';
import { AzureConfig } from '../providers/azure-key-vault/config.ts';
import { FilesConfig } from '../providers/files/config.ts';
import { VaultConfig } from '../providers/vault/config.ts';
import { Audit, Cluster, Engine, Keys } from './shape/backends.ts';
import { Events } from './shape/events.ts';
import { duration, Name, rate, wholeNumber } from './shape/fields.ts';
import { Defaults, MappingConfig } from './shape/mapping.ts';
import { Absence, AccessRule, Brake, Http, Include, Log, Restarts, Tracing } from './shape/service.ts';

/** What every store has beside the provider's own. */
const common = {
  name: Name.meta({ description: 'Unique name of the store.' }),
  limits: z
    .strictObject({
      requestsPerSecond: rate(10_000).default(200).meta({
        description: 'Requests a second; less for a while after the store asked to slow down.',
      }),
      concurrency: wholeNumber(1, 1_000).default(8).meta({ description: 'Requests at a time.' }),
      timeout: duration().prefault('15s').meta({ description: 'Longest wait for one answer.' }),
    })
    .transform(({ timeout, ...limits }) => ({ ...limits, timeoutMs: timeout }))
    .prefault({})
    .meta({ description: 'Limits of one process towards this store.' }),
};

export const StoreConfig = z.discriminatedUnion('kind', [
  AwsConfig.safeExtend(common).meta({ title: AwsConfig.meta()?.title ?? '' }),
  AzureConfig.safeExtend(common).meta({ title: AzureConfig.meta()?.title ?? '' }),
  FilesConfig.safeExtend(common).meta({ title: FilesConfig.meta()?.title ?? '' }),
  VaultConfig.safeExtend(common).meta({ title: VaultConfig.meta()?.title ?? '' }),
]);
/** A store's name and limits beside the fields of its own kind. */
export type StoreConfig = z.output<typeof StoreConfig>;

/** The whole format: the source of types, validation, JSON Schema and reference page. */
export const ConfigFile = z
  .strictObject({
    apiVersion: z.literal('secretbridge.dev/v1').meta({ description: 'Version of this format.' }),
    instance: Name.meta({
      description: "Name of this installation. Two instances never touch each other's targets.",
      examples: ['prod-eu'],
    }),
    formerInstances: z.array(Name).default([]).meta({
      description: 'Targets of these names are ours too: of a renamed or rebuilt installation.',
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
    stores: z.array(StoreConfig).default([]).meta({ description: 'Where values come from.' }),
    mappings: z.array(MappingConfig).default([]).meta({ description: 'What becomes which Secret.' }),
    access: z.array(AccessRule).optional().meta({
      description: 'When present, everything that no rule allows is refused before any read.',
    }),
  })
  .meta({ title: 'secretbridge configuration' });

/** Sections that several files may share: their entries are put together. */
export const LIST_SECTIONS = ['formerInstances', 'include', 'stores', 'mappings', 'access'] as const;
