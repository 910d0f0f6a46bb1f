import { z } from 'zod';
import { Reference } from '../../providers/credentials.ts';
import {
  address,
  duration,
  Globs,
  HostAndPort,
  localPath,
  Name,
  share,
  wait,
  wholeNumber,
} from './fields.ts';

// What it does by itself and within which bounds, and what it shows of that.

export const Include = z
  .strictObject({
    path: localPath().meta({ description: 'A file or a folder.' }),
    namespaces: Globs.meta({ description: 'Namespaces its mappings may target.' }),
    stores: Globs.meta({ description: 'Stores its mappings may use.' }),
    keys: Globs.meta({ description: 'Keys its mappings may read.' }),
  })
  .meta({ title: 'Include', description: "Tenants' files: mappings only, and only within these bounds." });

export const Http = z
  .strictObject({
    listen: HostAndPort.default('127.0.0.1:8080').meta({ description: 'Address and port.' }),
    tls: z
      .strictObject({
        certFile: localPath().meta({ description: 'Certificate chain, PEM.' }),
        keyFile: localPath().meta({ description: 'Its private key, PEM.' }),
      })
      .optional()
      .meta({ description: 'Serve https. Both files are read again when they change.' }),
    metricsNeedToken: z.boolean().default(false).meta({ description: 'Whether `/metrics` needs a token.' }),
    tokens: z
      .array(
        z.strictObject({
          name: Name.meta({ description: 'Who it is, for the audit.' }),
          role: z
            .enum(['viewer', 'reviewer', 'operator'])
            .meta({ description: 'What the holder may do; each may do what those before may.' }),
          token: Reference.meta({ description: 'The bearer token.' }),
        }),
      )
      .default([])
      .meta({ description: 'Static tokens.' }),
    kubernetes: z.boolean().default(false).meta({
      description:
        'Also take tokens of Kubernetes identities, whose roles RBAC gives. Needs `cluster.kind: kubernetes`.',
    }),
  })
  .meta({ title: 'HTTP', description: 'Where the service answers: API, metrics and probes.' });

export const Log = z
  .strictObject({
    level: z
      .enum(['error', 'warn', 'info', 'debug'])
      .default('info')
      .meta({ description: 'The least level to print.' }),
    format: z
      .enum(['json', 'text'])
      .default('json')
      .meta({ description: 'One JSON object a line, or text for people.' }),
  })
  .meta({ title: 'Log', description: 'What the service logs, on standard error.' });

export const Tracing = z
  .strictObject({
    otlp: z
      .strictObject({
        endpoint: address().meta({
          description: 'Base address of the collector; `/v1/traces` is added to it.',
          examples: ['https://otel.internal:4318'],
        }),
        headers: z.record(z.string().min(1), Reference).default({}).meta({
          description:
            'Headers to send, read afresh for each request. Plain http lets others read them on the way.',
        }),
      })
      .meta({ description: 'Send traces by OTLP over HTTP.' }),
  })
  .meta({ title: 'Tracing', description: 'Where traces go.' });

export const Brake = z
  .strictObject({
    share: share().default(0.1).meta({
      description: "Share of the instance's targets that may be destroyed within `window` without a person.",
    }),
    window: duration().prefault('24h').meta({ description: 'The time that is looked back on.' }),
  })
  .meta({ title: 'Brake', description: 'When destructive changes are held.' });

export const Absence = z
  .strictObject({
    readings: wholeNumber(1, 100).default(3).meta({ description: 'Readings that must all say absent.' }),
    over: wait()
      .prefault('10m')
      .meta({ description: 'Least time from the first to the last of them; `0s`: none.' }),
  })
  .meta({ title: 'Absence', description: 'What proves that a source is gone.' });

export const Restarts = z
  .strictObject({
    window: wait().prefault('5s').meta({
      description: 'Changes within this time of the first one make one restart of a workload; `0s`: at once.',
    }),
    atOnce: wholeNumber(1, 1_000)
      .default(5)
      .meta({ description: 'How many workloads may roll together because of us, in all namespaces.' }),
  })
  .meta({ title: 'Restarts', description: 'How the workloads that mappings name are rolled.' });

export const AccessRule = z
  .strictObject({
    namespaces: Globs.meta({ description: 'Namespaces of targets.', examples: [['payments', 'payments-*']] }),
    stores: Globs.meta({ description: 'Names of stores.' }),
    keys: Globs.meta({ description: 'Keys in the store.', examples: [['payments/**']] }),
  })
  .meta({
    title: 'Access rule',
    description: 'Targets in these namespaces may use these keys of these stores.',
  });
