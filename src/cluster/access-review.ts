import { parseObject } from '../core/json.ts';
import { WORKLOAD_APIS } from './api-workloads.ts';
import type { KubeClient } from './client.ts';
import type { AccessQuestion } from './cluster.ts';
import { errorOfAnswer } from './errors.ts';
import { objectIn } from './json.ts';
import { unknownForm } from './pages.ts';

/** https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1/ */
export async function mayWe(
  client: KubeClient,
  { namespace, verb, secret, workload }: AccessQuestion,
  signal?: AbortSignal,
): Promise<boolean> {
  const about = `access to ${namespace}`;
  const name = workload === undefined ? secret : workload.name;
  const { group, plural: resource } =
    workload === undefined ? { group: '', plural: 'secrets' } : WORKLOAD_APIS[workload.kind];
  const named = name ? { name } : {};
  const body = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes: { namespace, verb, group, resource, ...named } },
  };
  const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
  const answer = await client.send({ method: 'POST', path, body, signal });
  if (answer.status !== 201) throw errorOfAnswer(answer, about);
  const allowed = objectIn(parseObject(answer.text) ?? {}, 'status')?.allowed;
  if (typeof allowed !== 'boolean') throw unknownForm(about);
  return allowed;
}
