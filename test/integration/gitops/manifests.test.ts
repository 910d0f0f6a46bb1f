import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../../docs/markdown.ts';
import { kubernetes } from '../services/inject.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

// The API server checks the manifests in `deploy/gitops`, as a dry run with the strictest rules for pods.

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly spec: { readonly template: { readonly spec: PodSpec } };
}

interface PodSpec {
  readonly containers: readonly { readonly args: readonly string[] }[];
}

const read = (name: string): Manifest =>
  parse(readFileSync(join(ROOT, 'deploy/gitops', name), 'utf8')) as Manifest;
const namespace = `gitops-${randomBytes(4).toString('hex')}`;
const STRICT = '?dryRun=All&fieldValidation=Strict';

describe('the manifests for GitOps tools', () => {
  beforeAll(async () => {
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const body = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } };
    assertStatus(await kubernetes().request('POST', '/api/v1/namespaces', body), 201, 'create');
  });

  it('the API server accepts the Job, and its pod under the profile `restricted`', async () => {
    const job = read('status-job.yaml');
    const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs${STRICT}`;
    const { status, body } = await kubernetes().request<{ readonly message?: string }>('POST', jobs, job);
    expect({ status, message: body.message }).toEqual({ status: 201, message: undefined });
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: job.spec.template.spec };
    const account = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    const created = await kubernetes().request('POST', account, { metadata: { name: 'default' } });
    expect([201, 409]).toContain(created.status);
    const pods = `/api/v1/namespaces/${namespace}/pods${STRICT}`;
    const answer = await kubernetes().request<{ readonly message?: string }>('POST', pods, pod);
    expect({ status: answer.status, message: answer.body.message }).toEqual({
      status: 201,
      message: undefined,
    });
  });

  it('the API server accepts the ConfigMap of Argo CD', async () => {
    const { metadata, ...rest } = read('argocd-cm.yaml');
    const path = `/api/v1/namespaces/${namespace}/configmaps${STRICT}`;
    const body = { ...rest, metadata: { ...metadata, namespace } };
    assertStatus(await kubernetes().request('POST', path, body), 201, 'create as a dry run');
  });
});
