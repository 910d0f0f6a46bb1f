import { configurationSchema } from '../../src/config/json-schema.ts';

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: 'string' };
const flag: Schema = { type: 'boolean' };
const texts: Schema = { type: 'object', additionalProperties: { type: 'string' } };
const free: Schema = { type: 'object' };
const words: Schema = { type: 'array', items: text };
const objects: Schema = { type: 'array', items: free };
const port: Schema = { type: 'integer', minimum: 1, maximum: 65535 };
/** Kubernetes takes a number or a share for some. */
const countOrShare: Schema = { type: ['integer', 'string'] };
/**
 * The API server takes no number and no `true` for a value, and `0755` without quotes would be another text. It takes a
 * null, as of tools that write every field.
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

/** `values.schema.json` of the chart: its own values, and the configuration as its own schema has it. */
export function chartSchema(): string {
  const { $schema: _, $defs: __, title: ___, ...config } = JSON.parse(configurationSchema()) as Schema;
  const $defs = definitions(JSON.parse(configurationSchema()) as Schema);
  const mappings = (config.properties as Schema).mappings;
  const tenant = exactly({
    // It becomes part of the name of an object and of a file.
    name: { type: 'string', pattern: '^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$' },
    namespaces: words,
    stores: words,
    keys: words,
    mappings,
  });
  const schema = {
    // Helm 3 knows no newer one; what is used here means the same in both.
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the chart secretbridge',
    ...exactly({
      // Given by Helm to a chart within another.
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
      // YAML 1.1, which Helm reads, takes a bare `off` for false.
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
