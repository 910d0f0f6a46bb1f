import { HEAD } from './memory-fs.ts';

const TEAMS = [
  'payments',
  'checkout',
  'search-api',
  'data-platform',
  'IdentityAndAccess',
  'k8s-infra',
  'ml2',
  'eu1-ops',
];
const THINGS = [
  'postgres-main',
  'redis_cache01',
  'OAuthClientSecret',
  'stripe-webhook',
  'KafkaSaslPassword',
  'tls-wildcard-2026',
  'smtp.relay',
  'SigningKeyV2',
  'datadogApiKey',
  'service-account-token',
];
const HEX = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'; // biome-ignore format: lists of words

/** A realistic large configuration with many texts that only look like credentials. */
export function realistic(count: number): string {
  const stores = `stores:
  - { name: v, kind: vault, address: https://vault.eu-west-1.prod.internal:8200, mount: teams/kv-v2, auth: { method: appRole, roleId: 675a50e7-cfe0-be76-e35f-49ec009731ea, secretId: { file: /var/run/secrets/secretbridge/approle/secret-id } } }
  - { name: v1, kind: vault, address: 'http://127.0.0.1:8200', kvVersion: 1, auth: { method: token, token: { env: VAULT_TOKEN } } }
  - { name: f, kind: files, path: /var/run/secrets/mounted/Prod2026/ABCdef123 }
  - name: aws
    kind: aws-secrets-manager
    region: eu-west-1
    endpoint: https://vpce-0a1b2c3d4e5f67890-abcdefgh.secretsmanager.eu-west-1.vpce.amazonaws.com
    auth: { method: default, assumeRole: [ { roleArn: 'arn:aws:iam::123456789012:role/SecretBridgeReaderProd-1A2B3C4D5E6F7', externalId: Kq3vT8zLw0Yb5Rj1Xc7Dn2 } ] }
  - { name: az, kind: azure-key-vault, vaultUrl: 'https://contoso-prod-weu-01.vault.azure.net', auth: { method: workloadIdentity, tenantId: 72f988bf-86f1-41af-91ab-2d7cd011db47, clientId: 0f8fad5b-d9cb-469f-a165-70867728950e } }
`;
  return `${HEAD}${stores}mappings:\n${Array.from({ length: count }, (_, index) => mapping(index)).join('')}`;
}

function mapping(index: number): string {
  const team = TEAMS[index % TEAMS.length] ?? '';
  const thing = THINGS[index % THINGS.length] ?? '';
  const azure = `${team}-${thing}-${index}`.replace(/[^0-9a-zA-Z]/g, '-');
  return `  - name: m${index}
    target:
      namespace: team-${index % 17}
      secret: secret-${index}
      labels: { app.kubernetes.io/version: v1.${index}.0-rc.2, git-sha: 4b825dc642cb6eb9a060e54bf8d69288fbee4904, helm.sh/chart: ${thing.replace(/[^A-Za-z]/g, '')}-12.${index}.3 }
      annotations:
        checksum/config: ${HEX}
        argocd.argoproj.io/tracking-id: 'prod-${team}:/Secret:team/secret-${index}'
        example.com/image: registry.internal/team/app@sha256:${HEX}
        example.com/integrity: sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==
        reloader.stakater.com/match: 'true'
        example.com/password-rotated-by: platform-team@example.com
        token: /var/run/secrets/token
        secret: payments-db-2
    data:
      DB_PASSWORD: { store: v, key: '${team}/${thing}/Prod${index}', property: password.current, version: ${index + 1} }
      JWT_SIGNING_KEY: { store: aws, key: '/${team}/Prod/${thing}', version: 0f8fad5b-d9cb-469f-a165-708677289501 }
      BY_ARN: { store: aws, key: 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:${team}/${thing}-aB3dE9', version: AWSPREVIOUS }
      AZ: { store: az, key: ${azure}, version: 4387e9f3d6e14c459867679a90fd0f79 }
      file.pem: { store: f, key: '${team}/${thing}/tls2026.pem' }
    dataFrom:
      - { store: v, find: { path: '${team}/features/', name: '^(?:[A-Z][a-z0-9]+_?){1,20}-[0-9a-f]{8,64}$', tags: { owner: team-${index} } } }
    template:
      data:
        application.yaml: |
          spring.datasource.url: jdbc:postgresql://db-${index}.internal:5432/${team}?user={{ DB_USER }}&password={{ DB_PASSWORD }}
          url: postgres://{{ DB_USER | url_encode }}:{{ DB_PASSWORD | url_encode }}@db:5432/app
          compact: amqp://{{DB_USER}}:{{DB_PASSWORD}}@mq/vhost
          shell: redis://default:\${REDIS_PASSWORD}@redis:6379/0
          password: {{ DB_PASSWORD | json }}
          api_key: "{{ JWT_SIGNING_KEY }}"
          client-secret: \${CLIENT_SECRET}
          token: /var/run/secrets/kubernetes.io/serviceaccount/token
          tokenUrl: https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/oauth2/v2.0/token
          existingSecret: ${team.toLowerCase()}-db-credentials
          management.endpoint.env.show-values: WHEN_AUTHORIZED
        ca.pem: |
          -----BEGIN CERTIFICATE-----
          MIIBszCCAVmgAwIBAgIUEqW3n8QzF0vJ5tXy2KcR7bLh9DYwCgYIKoZIzj0EAwIw
          LzEtMCsGA1UEAwwkU2VjcmV0QnJpZGdlIFRlc3QgUm9vdCBDQSAyMDI2IEV4YW1w
          -----END CERTIFICATE-----
        authorized_keys: |
          ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Qz5Lk0Vb3nWtY7xRc2MdHf6GpUa9Es1TjKq4ZoXiB deploy@ci
    restart: [ { kind: Deployment, name: app-${index} } ]
`;
}
