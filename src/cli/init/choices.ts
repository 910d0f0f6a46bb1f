export const STORE_KINDS = ['vault', 'files', 'aws-secrets-manager', 'azure-key-vault'] as const;
export type StoreKind = (typeof STORE_KINDS)[number];

export const CLUSTER_KINDS = ['kubernetes', 'directory'] as const;
export type ClusterKind = (typeof CLUSTER_KINDS)[number];

export const LOGINS = ['token', 'appRole', 'kubernetes'] as const;
export type Login = (typeof LOGINS)[number];
