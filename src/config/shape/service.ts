import { z } from 'zod';
import { ROLES } from '../../core/words.ts';
import { Reference } from '../../providers/credentials.ts';
import {
  AddressRange,
  address,
  duration,
  durationOrZero,
  Globs,
  HostAndPort,
  localPath,
  Name,
  share,
  wholeNumber,
} from './fields.ts';
import { Oidc } from './oidc.ts';

// The schemas of the service sections: limits, behavior and outputs.

export const Http = z
  .strictObject({
    listen: HostAndPort.default('127.0.0.1:8080').meta({ description: 'Address and port to listen on.' }),
    tls: z
      .strictObject({
        certFile: localPath().meta({ description: 'Certificate chain, PEM.' }),
        keyFile: localPath().meta({ description: 'Private key of the certificate, PEM.' }),
      })
      .optional()
      .meta({ description: 'Serve https. Both files are read again when they change.' }),
    allowHttp: z.boolean().default(false).meta({
      description:
        'Accept tokens without `tls` on addresses other than loopback, for example because an ingress serves https.',
    }),
    trustProxy: z
      .array(AddressRange)
      .min(1)
      .optional()
      .meta({
        description:
          'Addresses of the reverse proxies in front of the service. Only from these, `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` count, for limits, records and logs. Default: none.',
        examples: [['10.0.0.0/8']],
      }),
    metrics: z
      .strictObject({
        listen: HostAndPort.meta({
          description:
            'Address and port on which only `/metrics` and the probes are served. `/metrics` is then not served on `http.listen`.',
          examples: ['0.0.0.0:9090'],
        }),
      })
      .optional()
      .meta({ description: 'A separate port for metrics, without TLS.' }),
    metricsNeedToken: z.boolean().default(false).meta({ description: 'Whether `/metrics` needs a token.' }),
    tokens: z
      .array(
        z.strictObject({
          name: Name.meta({ description: 'Name of the holder, for the audit.' }),
          role: z.enum(ROLES).meta({
            description:
              'Role of the holder. `reviewer` includes the rights of `viewer`, and `operator` includes all rights.',
          }),
          namespaces: Globs.optional().meta({
            description:
              'Namespaces that the holder may see and change. What is in other namespaces does not exist for the holder. Default: all.',
            examples: [['payments', 'payments-*']],
          }),
          token: Reference.meta({ description: 'The bearer token.' }),
        }),
      )
      .default([])
      .meta({ description: 'Static tokens.' }),
    kubernetes: z.boolean().default(false).meta({
      description:
        'Also accept tokens of Kubernetes identities, with roles from RBAC, in the cluster or in single namespaces. Needs `cluster.kind: kubernetes`.',
    }),
    oidc: Oidc.optional(),
  })
  .meta({ title: 'HTTP', description: 'The HTTP server of the service: API, metrics and probes.' });

export const Log = z
  .strictObject({
    level: z
      .enum(['error', 'warn', 'info', 'debug'])
      .default('info')
      .meta({ description: 'Lowest level to print.' }),
    format: z
      .enum(['json', 'text'])
      .default('json')
      .meta({ description: 'One JSON object per line, or text for people.' }),
  })
  .meta({ title: 'Log', description: 'The service log on standard error.' });

export const Tracing = z
  .strictObject({
    otlp: z
      .strictObject({
        endpoint: address().meta({
          description: 'Base address of the collector; the service appends `/v1/traces`.',
          examples: ['https://otel.internal:4318'],
        }),
        headers: z.record(z.string().min(1), Reference).default({}).meta({
          description:
            'Headers to send, read again for each request. Plain http exposes them on the network.',
        }),
      })
      .meta({ description: 'Send traces by OTLP over HTTP.' }),
  })
  .meta({ title: 'Tracing', description: 'Export of traces.' });

export const Brake = z
  .strictObject({
    share: share().default(0.1).meta({
      description: "Share of the instance's targets that may be destroyed within `window` without approval.",
    }),
    window: duration().prefault('24h').meta({ description: 'The period for counting destructive changes.' }),
  })
  .meta({ title: 'Brake', description: 'When to hold destructive changes.' });

export const Absence = z
  .strictObject({
    readings: wholeNumber(1, 100)
      .default(3)
      .meta({ description: 'Number of reads that must all find the source absent.' }),
    over: durationOrZero().prefault('10m').meta({
      description:
        'Minimum time between the first and the last read that finds the source absent. `0s`: no minimum. In Azure, it is at least `2m`.',
    }),
  })
  .meta({ title: 'Absence', description: 'When a source counts as gone.' });

export const Restarts = z
  .strictObject({
    window: durationOrZero().prefault('5s').meta({
      description:
        'All changes within this time after a first change cause a single restart of a workload. `0s`: restart immediately.',
    }),
    atOnce: wholeNumber(1, 1_000).default(5).meta({
      description:
        'How many workloads may restart at the same time because of secretbridge, in all namespaces.',
    }),
  })
  .meta({ title: 'Restarts', description: 'How to restart the workloads that mappings name.' });

export const AccessRule = z
  .strictObject({
    namespaces: Globs.meta({ description: 'Namespaces of targets.', examples: [['payments', 'payments-*']] }),
    stores: Globs.meta({ description: 'Names of stores.' }),
    keys: Globs.meta({ description: 'Keys in the store.', examples: [['payments/**']] }),
  })
  .meta({
    title: 'Access rule',
    description: 'Allows targets in these namespaces to use these keys of these stores.',
  });
