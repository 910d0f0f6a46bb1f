import { configurationSchema } from '../../src/config/schema.ts';

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: 'string' };
const flag: Schema = { type: 'boolean' };
const texts: Schema = { type: 'object', additionalProperties: { type: 'string' } };
const free: Schema = { type: 'object' };
const words: Schema = { type: 'array', items: text };
const objects: Schema = { type: 'array', items: free };
const port: Schema = { type: 'integer', minimum: 1, maximum: 65535 };
/** The schema for fields that Kubernetes accepts as a number or a percentage. */
const countOrShare: Schema = { type: ['integer', 'string'] };
/**
 * The schema accepts only strings and null as values of environment variables. The API server rejects numbers and
 * `true`, and YAML would read `0755` as a number. Null is accepted, because tools write null for empty fields.
 */
const variable = {
  ...exactly({ name: text, value: orNull(text), valueFrom: orNull(free) }),
  required: ['name'],
};
const secretKey = exactly({ name: text, key: text });
const peers = exactly({ cidrs: words, port });

function exactly(properties: Schema): Schema {
  return { type: 'object', properties, additionalProperties: false };
}

function orNull(schema: Schema): Schema {
  return { anyOf: [schema, { type: 'null' }] };
}

function definitions(schema: Schema): Schema {
  return schema.$defs as Schema;
}

/** Returns the chart's `values.schema.json`: the schema of the chart's own values and of the configuration. */
export function chartSchema(): string {
  const { $schema: _, $defs: __, title: ___, ...config } = JSON.parse(configurationSchema()) as Schema;
  const $defs = definitions(JSON.parse(configurationSchema()) as Schema);
  const { mappings, include } = config.properties as Schema;
  const { types, limits } = ((include as Schema).items as Schema).properties as Schema;
  const tenant = exactly({
    // The name of a tenant becomes part of an object name and of a file name.
    name: { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$' },
    namespaces: words,
    stores: words,
    keys: words,
    types,
    limits,
    mappings,
  });
  const schema = {
    // Helm 3 does not support the draft 2020-12 of the configuration schema. The keywords in this schema have the same
    // meaning in draft 7 and in draft 2020-12.
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the secretbridge chart',
    ...exactly({
      // Helm passes `global` to every chart that another chart includes as a subchart.
      global: free,
      replicas: { type: 'integer', minimum: 0, maximum: 100 },
      image: exactly({ repository: text, tag: text, digest: text, pullPolicy: text }),
      imagePullSecrets: objects,
      nameOverride: text,
      fullnameOverride: text,
      config,
      tenants: {
        type: 'array',
        items: { ...tenant, required: ['name', 'namespaces', 'stores', 'keys', 'mappings'] },
      },
      // The schema accepts false, because Helm reads YAML 1.1. In YAML 1.1, an unquoted `off` means false.
      check: exactly({ enabled: flag, doctor: { enum: ['warn', 'fail', 'off', false] } }),
      persistence: exactly({
        size: text,
        storageClassName: text,
        accessModes: words,
        existingClaim: text,
      }),
      redis: exactly({
        bundled: exactly({ enabled: flag, image: text, passwordSecret: secretKey, resources: free }),
      }),
      serviceAccount: exactly({ create: flag, name: text, annotations: texts }),
      identity: exactly({
        awsRoleArn: text,
        azureClientId: text,
        azureTenantId: text,
        vaultAudience: text,
      }),
      rbac: exactly({ create: flag, selectedNamespaces: words }),
      service: exactly({ type: text, port, annotations: texts }),
      ingress: exactly({
        enabled: flag,
        className: text,
        host: text,
        path: text,
        tlsSecret: text,
        annotations: texts,
      }),
      env: { type: 'array', items: variable },
      envFrom: objects,
      volumes: objects,
      volumeMounts: objects,
      podAnnotations: texts,
      podLabels: texts,
      resources: free,
      nodeSelector: texts,
      tolerations: objects,
      affinity: free,
      priorityClassName: text,
      terminationGracePeriodSeconds: { type: 'integer', minimum: 26 },
      podDisruptionBudget: exactly({ enabled: flag, maxUnavailable: countOrShare }),
      topologySpread: exactly({ enabled: flag, topologyKeys: words }),
      networkPolicy: exactly({
        enabled: flag,
        hosts: { type: 'object', additionalProperties: words },
        ingressFrom: objects,
        metricsFrom: objects,
        dns: exactly({ namespace: text, podLabels: texts }),
        apiServer: peers,
        postgres: peers,
        redis: peers,
        egress: objects,
      }),
      metrics: exactly({
        serviceMonitor: exactly({
          enabled: flag,
          labels: texts,
          interval: text,
          tlsConfig: free,
          tokenSecret: secretKey,
        }),
        prometheusRule: exactly({
          enabled: flag,
          labels: texts,
          staleSeconds: { type: 'integer', minimum: 1 },
          runbook: text,
        }),
        dashboard: exactly({ enabled: flag, labels: texts, annotations: texts }),
      }),
    }),
    $defs,
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
