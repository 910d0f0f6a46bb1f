import { z } from 'zod';
import { Reference } from '../../providers/credentials.ts';
import { duration, HostAndPort, localPath, Name, Namespace, rate, wholeNumber } from './fields.ts';

// The schemas of the backends: cluster, queue, audit store and keys.

export const Cluster = z
  .discriminatedUnion('kind', [
    z
      .strictObject({
        kind: z.literal('kubernetes'),
        scope: z.enum(['namespace', 'names']).default('namespace').meta({
          description:
            'Scope of the permissions that `secretbridge rbac` prints: every Secret of a namespace, or only the targets by name.',
        }),
        kubeconfig: localPath().optional().meta({
          description:
            'Path of a kubeconfig. Default: the in-cluster identity, then KUBECONFIG, then ~/.kube/config.',
        }),
        context: z
          .string()
          .min(1)
          .optional()
          .meta({ description: 'Context of the kubeconfig. Default: its current context.' }),
        requestsPerSecond: rate(10_000)
          .default(500)
          .meta({ description: 'Maximum requests per second of one process to the API server.' }),
      })
      .meta({ title: 'Kubernetes' }),
    z
      .strictObject({
        kind: z.literal('directory'),
        path: localPath().meta({
          description: 'The folder. A Secret is the file `<namespace>/<secret>.yaml` in it, with mode 0600.',
          examples: ['./cluster'],
        }),
      })
      .meta({ title: 'A folder of manifests' }),
  ])
  .meta({ title: 'Cluster', description: 'Where the Secrets are written.' });

const tls = z
  .strictObject({
    caFile: localPath().optional().meta({ description: 'Additional certificate authorities to trust, PEM.' }),
    certFile: localPath().optional().meta({ description: 'Client certificate, PEM.' }),
    keyFile: localPath().optional().meta({ description: 'Private key of the client certificate, PEM.' }),
    serverName: z
      .string()
      .min(1)
      .optional()
      .meta({ description: "Host name to expect in the server's certificate." }),
  })
  .optional()
  .meta({ description: 'TLS settings for the server.' });

const concurrency = wholeNumber(1, 1_000).default(16).meta({
  description:
    'Targets that each process works on at a time, for each set of stores. So a store that hangs does not block targets of other stores. One `include` gets at most half of them, and sweeps of a store a quarter.',
});

export const Engine = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('memory'), concurrency }).meta({ title: 'In memory' }),
    z
      .strictObject({
        kind: z.literal('redis'),
        concurrency,
        url: Reference.meta({
          description:
            'Redis 6.2 or newer, or Valkey: an address with user and password, such as rediss://user:password@host:6379/0.',
        }),
        prefix: z
          .string()
          .regex(/^[-\w]{1,64}$/, { error: 'letters, digits, `-` and `_`, at most 64' })
          .default('secretbridge')
          .meta({ description: 'Prefix of all names in Redis, which start with `{<prefix>:<instance>}:`.' }),
        tls,
        sentinel: z
          .strictObject({
            name: z.string().min(1).meta({ description: 'Name of the monitored master.' }),
            addresses: z.array(HostAndPort).min(1).meta({ description: 'Addresses of the sentinels.' }),
            password: Reference.optional().meta({ description: 'Password of the sentinels.' }),
          })
          .optional()
          .meta({ description: 'Find the master through sentinels. Not with `cluster`.' }),
        cluster: z.boolean().default(false).meta({ description: 'Whether the server is a Redis Cluster.' }),
      })
      .meta({ title: 'Redis' }),
  ])
  .meta({
    title: 'Engine',
    description:
      'The queue of the service: in the memory of this process, or in a Redis that replicas share.',
  });

/**
 * The minimum retention. It must be longer than the time for which the program still reads old records. For example, a
 * restart may be pending for 7 days.
 */
const MIN_RETENTION_MS = 8 * 86_400_000;

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
              'PostgreSQL 13 or newer: an address with user and password, such as postgres://user:password@host/db.',
          }),
          tls,
        }),
      ])
      .prefault({ kind: 'sqlite' })
      .meta({ description: 'Database for the audit records.' }),
    checkpoints: z
      .array(
        z.discriminatedUnion('kind', [
          z.strictObject({
            kind: z.literal('file'),
            path: localPath().meta({ description: 'File to append checkpoints to.' }),
          }),
          z.strictObject({ kind: z.literal('stdout') }),
          z.strictObject({
            kind: z.literal('configMap'),
            namespace: Namespace.optional().meta({
              description: "Namespace of the ConfigMap. Default: secretbridge's own namespace.",
            }),
            name: Name.meta({ description: 'Name of the ConfigMap. Needs `cluster.kind: kubernetes`.' }),
          }),
        ]),
      )
      .optional()
      .meta({
        description:
          'Where to write signed checkpoints. Default: `checkpoints.jsonl` beside the SQLite file. With PostgreSQL and `keys.checkpoint`: the ConfigMap `secretbridge-<instance>-checkpoints`, or `./state/checkpoints.jsonl` outside a cluster. An empty list: none.',
      }),
    retention: duration()
      .refine((ms) => ms >= MIN_RETENTION_MS, { error: 'a duration of at least 8d' })
      .optional()
      .meta({
        description:
          'How long to keep records, at least `8d`. Older records are removed, up to a checkpoint. Default: forever.',
        examples: ['400d'],
      }),
    archive: z
      .strictObject({
        path: localPath().meta({
          description: 'The folder. Each audit store needs an archive folder of its own.',
          examples: ['./state/archive'],
        }),
      })
      .optional()
      .meta({
        description:
          'Where to write records before `retention` removes them. Default: records are deleted without a copy.',
      }),
    stdout: z.boolean().default(false).meta({
      description:
        'While serving, also print each record to standard output as a JSON line, as in `audit export --format jsonl`.',
    }),
  })
  .meta({ title: 'Audit', description: 'The record of all reads and changes.' });

export const Keys = z
  .strictObject({
    fingerprint: z.array(Reference).min(1).optional().meta({
      description:
        'Fingerprint keys, newest first; older keys are still accepted. Each is 32 random bytes as base64 text. Default: `fingerprint.key` beside the SQLite file.',
    }),
    checkpoint: Reference.optional().meta({
      description:
        'Ed25519 private key, PKCS#8 PEM. The public keys of earlier private keys may follow in the same text. Default: `checkpoint.key` beside the SQLite file.',
    }),
  })
  .meta({
    title: 'Keys',
    description:
      'Keys are created on first use beside a SQLite store. `fingerprint` is required with Redis or PostgreSQL, because all replicas must share it.',
  });
