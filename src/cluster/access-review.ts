import { parseObject } from '../core/json.ts';
import type { KubeClient } from './client.ts';
import type { AccessRequest } from './cluster.ts';
import { errorFromResponse, unexpectedResponse } from './errors.ts';
import { objectIn } from './json.ts';
import { WORKLOAD_APIS } from './workloads.ts';

/** https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1/ */
export async function reviewOwnAccess(
  client: KubeClient,
  { namespace, verb, secret, workload }: AccessRequest,
  signal?: AbortSignal,
): Promise<boolean> {
  const subject = `access to ${namespace}`;
  const name = workload === undefined ? secret : workload.name;
  const { group, plural: resource } =
    workload === undefined ? { group: '', plural: 'secrets' } : WORKLOAD_APIS[workload.kind];
  const nameAttribute = name ? { name } : {};
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { namespace, verb, group, resource, ...nameAttribute } },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const response = await client.send({ method: 'POST', path, body, signal });
  if (response.status !== 201) throw errorFromResponse(response, subject);
  const allowed = objectIn(parseObject(response.text) ?? {}, 'status')?.allowed;
  if (typeof allowed !== 'boolean') throw unexpectedResponse(subject);
  return allowed;
}
