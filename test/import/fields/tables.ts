import type { FieldTable } from './case.ts';
import { EXTERNAL_SECRETS_FIELDS } from './external-secrets.ts';
import { KUBERNETES_EXTERNAL_SECRETS_FIELDS } from './kubernetes-external-secrets.ts';
import { SECRETS_STORE_CSI_FIELDS } from './secrets-store-csi.ts';
import { VAULT_SECRETS_OPERATOR_FIELDS } from './vault-secrets-operator.ts';

/** The fields of each tool, for the tests and for the pages. */
export const FIELD_TABLES: readonly FieldTable[] = [
  EXTERNAL_SECRETS_FIELDS,
  SECRETS_STORE_CSI_FIELDS,
  VAULT_SECRETS_OPERATOR_FIELDS,
  KUBERNETES_EXTERNAL_SECRETS_FIELDS,
];
