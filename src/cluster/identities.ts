import type { V1SelfSubjectAccessReview } from '@kubernetes/client-node/dist/gen/models/V1SelfSubjectAccessReview.js';
import type { V1SubjectAccessReview } from '@kubernetes/client-node/dist/gen/models/V1SubjectAccessReview.js';
import type { V1TokenReview } from '@kubernetes/client-node/dist/gen/models/V1TokenReview.js';
import type { SecretValue } from '../core/secret-value.ts';
import type { KubeClient } from './client.ts';
import type { AccessRequest, Caller, Identities } from './cluster.ts';
import { unexpectedResponse } from './errors.ts';
import { authenticationApi, authorizationApi, bodyOf, sendTyped } from './typed-apis.ts';
import { WORKLOAD_APIS } from './workloads.ts';

/** The status of a response to a review. */
const CREATED = 201;

/** This module does not cache the results of reviews. */
export function createIdentities({ send }: KubeClient): Identities {
  return {
    async review(token, audience, { signal } = {}) {
      const text = textOf(token);
      if (text === undefined) return undefined;
      const subject = 'identity review (TokenReview)';
      const api = await authenticationApi();
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: text, audiences: [audience] },
      };
      const response = await sendTyped(send, api.createTokenReview(body), signal);
      const { kind, status } = bodyOf<V1TokenReview>(response, CREATED, subject);
      if (kind !== body.kind || !status) throw unexpectedResponse(subject);
      if (status.authenticated !== true) return undefined;
      // A server or webhook without support for audiences returns no audience. The token might then be meant for the
      // API server itself.
      if (!status.audiences?.includes(audience)) return undefined;
      const caller = callerOf(status);
      if (caller === undefined) throw unexpectedResponse(subject);
      return caller;
    },
    async canUseRole({ name, uid, groups, extra }, role, { namespace, signal } = {}) {
      const subject = 'identity review (SubjectAccessReview)';
      const api = await authorizationApi();
      const body = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: name,
          groups: [...groups],
          ...(uid === undefined ? {} : { uid }),
          ...(extra === undefined ? {} : { extra: mutable(extra) }),
          resourceAttributes: {
            verb: 'use',
            group: 'secretbridge.dev',
            resource: 'roles',
            name: role,
            ...(namespace === undefined ? {} : { namespace }),
          },
        },
      };
      const response = await sendTyped(send, api.createSubjectAccessReview(body), signal);
      const { kind, status } = bodyOf<V1SubjectAccessReview>(response, CREATED, subject);
      if (kind !== body.kind || typeof status?.allowed !== 'boolean') throw unexpectedResponse(subject);
      return status.allowed && status.denied !== true;
    },
  };
}

/** https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1/ */
export async function reviewOwnAccess(
  { send }: KubeClient,
  { namespace, verb, secret, workload }: AccessRequest,
  signal?: AbortSignal,
): Promise<boolean> {
  const subject = `access to ${namespace}`;
  const name = workload === undefined ? secret : workload.name;
  const { group, plural: resource } =
    workload === undefined ? { group: '', plural: 'secrets' } : WORKLOAD_APIS[workload.kind];
  const api = await authorizationApi();
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { namespace, verb, group, resource, ...(name ? { name } : {}) } },
  };
  const response = await sendTyped(send, api.createSelfSubjectAccessReview(body), signal);
  const { status } = bodyOf<V1SelfSubjectAccessReview>(response, CREATED, subject);
  if (typeof status?.allowed !== 'boolean') throw unexpectedResponse(subject);
  return status.allowed;
}

function callerOf({ user }: NonNullable<V1TokenReview['status']>): Caller | undefined {
  const { username: name, uid, groups, extra } = user ?? {};
  if (!name) return undefined;
  return {
    name,
    groups: groups ?? [],
    ...(uid ? { uid } : {}),
    ...(extra && Object.keys(extra).length > 0 ? { extra } : {}),
  };
}

function mutable(extra: NonNullable<Caller['extra']>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, [...values]]));
}

/** Returns the token as text, or `undefined` if the bytes cannot be a token. Such bytes need no TokenReview. */
function textOf(token: SecretValue): string | undefined {
  const text = token.revealText('latin1');
  // Token characters as in RFC 6750, section 2.1.
  return /^[-A-Za-z0-9._~+/]+=*$/.test(text) ? text : undefined;
}
