import type { SecretValue } from '../core/secret-value.ts';

/** Somebody whom the cluster knows. */
export interface Caller {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  /** What authenticators say beside, such as the scopes of a token, which authorizers may go by. */
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Kubernetes identities, for the HTTP API. */
export interface Identities {
  /**
   * TokenReview with this audience: who holds the token, or `undefined` when it is not valid.
   * https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/
   */
  review(
    token: SecretValue,
    audience: string,
    options?: { signal?: AbortSignal },
  ): Promise<Caller | undefined>;
  /**
   * SubjectAccessReview for verb `use` on group `secretbridge.dev`, resource `roles`, of this name.
   * https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/
   */
  mayUse(caller: Caller, role: string, options?: { signal?: AbortSignal }): Promise<boolean>;
}
