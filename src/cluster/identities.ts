import type { SecretValue } from '../core/secret-value.ts';

/** A user that the cluster authenticated. */
export interface Caller {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** Extra fields of authenticators, such as token scopes, which authorizers may use. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Kubernetes identities, for the HTTP API. */
export interface Identities {
  /**
   * Runs a TokenReview with this audience. Returns the holder of the token, or `undefined` if the token is not valid.
   * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
   */
  review(
    token: SecretValue,
    audience: string,
    options?: { signal?: AbortSignal },
  ): Promise<Caller | undefined>;
  /**
   * Runs a SubjectAccessReview for verb `use` on resource `roles` of group `secretbridge.dev` with this name.
   * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
   */
  canUseRole(caller: Caller, role: string, options?: { signal?: AbortSignal }): Promise<boolean>;
}
