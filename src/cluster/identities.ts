import type { SecretValue } from '../core/secret-value.ts';

/** A user that the cluster has authenticated. */
export interface Caller {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** Extra fields from the authenticator, such as token scopes. Authorizers may use them. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Authenticates and authorizes callers of the HTTP API by their Kubernetes identity. */
export interface Identities {
  /**
   * Runs a TokenReview with this audience. Returns the user of the token, or `undefined` if the token is not valid.
   * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
   */
  review(
    token: SecretValue,
    audience: string,
    options?: { signal?: AbortSignal },
  ): Promise<Caller | undefined>;
  /**
   * Checks by SubjectAccessReview whether the user has the verb `use` on resource `roles` of group `secretbridge.dev`
   * with this name.
   * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
   */
  canUseRole(caller: Caller, role: string, options?: { signal?: AbortSignal }): Promise<boolean>;
}
