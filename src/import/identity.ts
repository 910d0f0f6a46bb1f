import type { Json, Notes } from './node.ts';

/** The ARN of a role in AWS. */
export const ROLE = /^arn:[^:]+:iam::\d{12}:role\/.+$/;

/** The annotation of a service account that names its role in AWS. */
export const ROLE_ANNOTATION = 'eks.amazonaws.com/role-arn';

/** Adds the note that secretbridge assumes the role of an account. Returns the login. */
export function assumedRole(arn: string, accountName: string, at: string, notes: Notes): Json {
  notes.changed(
    at,
    `secretbridge assumes the role of ${accountName} with the token of its own service account`,
    `Let the trust policy of ${arn} accept secretbridge's service account.`,
  );
  return { method: 'webIdentity', roleArn: arn };
}

/**
 * Converts a region. The AWS SDK for Go also accepts `us-east-1-fips` and `fips-us-east-1`, which select the FIPS
 * endpoints of the region.
 */
export function regionOf(region: string | undefined): Json {
  const plain = region?.replace(/^fips-|-fips(?=-|$)/g, '');
  return { region: plain, ...(plain === region ? {} : { fips: true }) };
}

/** Adds the note that a file of the tool becomes a file in the pod of secretbridge. Returns the path of the file. */
export function mountedFile(
  at: string,
  { from, path }: { readonly from: string; readonly path: string },
  notes: Notes,
): string {
  notes.changed(at, 'is read from a file', `Mount ${from} as ${path}.`);
  return path;
}

/** Adds the note that a workload identity in Azure needs a credential for secretbridge. Returns the login. */
export function federatedIdentity(
  login: { readonly tenantId?: unknown; readonly clientId?: unknown },
  at: string,
  notes: Notes,
): Json {
  const { tenantId, clientId } = login;
  notes.changed(
    at,
    "secretbridge logs in with its own service account, not with the pods' service accounts",
    `Add a federated credential for secretbridge's service account to the application${typeof clientId === 'string' ? ` ${clientId}` : ''}.`,
  );
  return {
    method: 'workloadIdentity',
    ...(tenantId === undefined ? {} : { tenantId }),
    ...(clientId === undefined ? {} : { clientId }),
  };
}

/** Adds the note that a managed identity in Azure must be assigned to secretbridge. Returns the login. */
export function managedIdentity(clientId: string | undefined, at: string, notes: Notes): Json {
  notes.changed(
    at,
    "the managed identity of secretbridge's pod or node is used",
    "Assign the same identity to secretbridge's pod or node.",
  );
  return { method: 'managedIdentity', ...(clientId === undefined ? {} : { clientId }) };
}
