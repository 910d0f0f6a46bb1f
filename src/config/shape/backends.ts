import { z } from 'zod';
import { Reference } from '../../providers/credentials.ts';
import { duration, HostAndPort, localPath, Name, Namespace, rate, wholeNumber } from './fields.ts';

// Where it writes, and where its own state is: the cluster, the queue, the audit and their keys.

export const Cluster = z
  .discriminatedUnion('kind', [
    z
      .strictObject({
        kind: z.literal('kubernetes'),
        scope: z.enum(['namespace', 'names']).default('namespace').meta({
          description:
            'How narrow the rights are that `secretbridge rbac` prints: every Secret of a namespace, or the targets by name.',
        }),
        kubeconfig: localPath().optional().meta({
          description:
            'A kubeconfig. Default: the in-cluster identity, else KUBECONFIG, else ~/.kube/config.',
        }),
        context: z
          .string()
          .min(1)
          .optional()
          .meta({ description: 'A context of the kubeconfig. Default: its current one.' }),
        requestsPerSecond: rate(10_000)
          .default(500)
          .meta({ description: 'Requests to the API server, of one process.' }),
      })
      .meta({ title: 'Kubernetes' }),
    z
      .strictObject({
        kind: z.literal('directory'),
        path: localPath().meta({
          description: 'The folder. A Secret is the file `<namespace>/<secret>.yaml` in it, of mode 0600.',
          examples: ['./cluster'],
        }),
      })
      .meta({ title: 'A folder of manifests' }),
  ])
  .meta({ title: 'Cluster', description: 'Where the Secrets are written.' });

const tls = z
  .strictObject({
    caFile: localPath().optional().meta({ description: 'Certificate authorities to trust as well, PEM.' }),
    certFile: localPath().optional().meta({ description: 'Client certificate, PEM.' }),
    keyFile: localPath().optional().meta({ description: 'Private key of the client certificate, PEM.' }),
    serverName: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'The name that the certificate must carry.' }),
  })
  .optional()
  .meta({ description: 'How to trust the server.' });

const concurrency = wholeNumber(1, 1_000).default(16).meta({
  description:
    'How many targets of one set of stores each process works on at a time, so that a store that hangs holds up no other.',
});

export const Engine = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('memory'), concurrency }).meta({ title: 'In this process' }),
    z
      .strictObject({
        kind: z.literal('redis'),
        concurrency,
        url: Reference.meta({
          description:
            'Redis 6.2 or newer, or Valkey: address with user and password, such as rediss://user:password@host:6379/0.',
        }),
        prefix: z
          .string()
          .regex(/^[-\w]{1,64}$/, { error: 'letters, digits, `-` and `_`, at most 64' })
          .default('secretbridge')
          .meta({ description: 'All names in Redis begin with `{<prefix>:<instance>}:`.' }),
        tls,
        sentinel: z
          .strictObject({
            name: z.string().min(1).meta({ description: 'Name of the master.' }),
            addresses: z.array(HostAndPort).min(1).meta({ description: 'Addresses of the sentinels.' }),
            password: Reference.optional().meta({ description: 'Password of the sentinels.' }),
          })
          .optional()
          .meta({ description: 'Ask sentinels for the master. Not with `cluster`.' }),
        cluster: z.boolean().default(false).meta({ description: 'Whether it is a Redis Cluster.' }),
      })
      .meta({ title: 'Redis' }),
  ])
  .meta({
    title: 'Engine',
    description:
      'What carries the jobs of the service: the memory of this process, or a Redis that replicas share.',
  });

/** Longer than anything looks back: a restart of workloads may be pending for 7 days. */
const LEAST_RETENTION_MS = 8 * 86_400_000;

export const Audit = z
  .strictObject({
    store: z
      .discriminatedUnion('kind', [
        z.strictObject({
          kind: z.literal('sqlite'),
          path: localPath().default('./state/audit.db').meta({ description: 'The database file.' }),
        }),
        z.strictObject({
          kind: z.literal('postgres'),
          url: Reference.meta({
            description:
              'PostgreSQL 13 or newer: address with user and password, such as postgres://user:password@host/db.',
          }),
          tls,
        }),
      ])
      .prefault({ kind: 'sqlite' })
      .meta({ description: 'Where the records are kept.' }),
    checkpoints: z
      .array(
        z.discriminatedUnion('kind', [
          z.strictObject({
            kind: z.literal('file'),
            path: localPath().meta({ description: 'The file they are added to.' }),
          }),
          z.strictObject({ kind: z.literal('stdout') }),
          z.strictObject({
            kind: z.literal('configMap'),
            namespace: Namespace.optional().meta({ description: "Default: the bridge's own." }),
            name: Name.meta({ description: 'Name of the ConfigMap. Needs `cluster.kind: kubernetes`.' }),
          }),
        ]),
      )
      .optional()
      .meta({
        description:
          'Where signed checkpoints go. Default: `checkpoints.jsonl` beside the SQLite file; none with PostgreSQL.',
      }),
    retention: duration()
      .refine((ms) => ms >= LEAST_RETENTION_MS, { error: 'a duration of at least 8d' })
      .optional()
      .meta({
        description:
          'How long records are kept, at least `8d`; older ones leave at a checkpoint. Default: for ever.',
        examples: ['400d'],
      }),
    archive: z
      .strictObject({
        path: localPath().meta({
          description: 'The folder, of this store alone.',
          examples: ['./state/archive'],
        }),
      })
      .optional()
      .meta({
        description: 'Where records go before they leave by `retention`. Default: nowhere, they are gone.',
      }),
    stdout: z.boolean().default(false).meta({
      description:
        'Also print each record on standard output while serving, as a line of JSON: the one that `audit export --format jsonl` has.',
    }),
  })
  .meta({ title: 'Audit', description: 'The record of what was read and changed.' });

export const Keys = z
  .strictObject({
    fingerprint: z.array(Reference).min(1).optional().meta({
      description:
        'Keys of the fingerprints, newest first; older ones are still understood. 32 random bytes as base64 text. Default: `fingerprint.key` beside the SQLite file.',
    }),
    checkpoint: Reference.optional().meta({
      description:
        'Ed25519 private key, PKCS#8 PEM; public keys of earlier ones may follow it. Default: `checkpoint.key` beside the SQLite file.',
    }),
  })
  .meta({
    title: 'Keys',
    description:
      'Made on first use beside a SQLite store; `fingerprint` is required with Redis or PostgreSQL, since all replicas must share it.',
  });
