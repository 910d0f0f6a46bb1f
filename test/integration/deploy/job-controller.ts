import type { KubernetesApi } from '../services/kubernetes-api.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

interface Job {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: { readonly conditions?: readonly object[] };
}

/** Returns the result of a Job. Called once for each Job, and for one Job at a time. */
export type JobResult = (name: string) => Promise<'succeeds' | 'fails'>;

/** Acts as the Job controller of a namespace until `work` is done, because the test cluster has no controllers. */
export async function withJobController<T>(
  { request }: Pick<KubernetesApi, 'request'>,
  namespace: string,
  jobResult: JobResult,
  work: () => Promise<T>,
): Promise<T> {
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const finishedJobs = new Set<string>();
  let isDone = false;
  const loop = async () => {
    while (!isDone) {
      const { body } = await request<{ items: readonly Job[] }>('GET', jobs);
      for (const { metadata, status } of body.items) {
        if (finishedJobs.has(metadata.uid) || status.conditions !== undefined) continue;
        finishedJobs.add(metadata.uid);
        const answer = await request(
          'PATCH',
          `${jobs}/${metadata.name}/status`,
          JSON.stringify({ status: statusOf(await jobResult(metadata.name)) }),
          { 'content-type': 'application/merge-patch+json' },
        );
        assertStatus(answer, 200, `the status of the Job ${metadata.name}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const running = loop();
  try {
    return await Promise.race([
      work(),
      running.then(() => Promise.reject(new Error('the Job controller stopped'))),
    ]);
  } finally {
    isDone = true;
    await running;
  }
}

function statusOf(result: 'succeeds' | 'fails'): object {
  const now = new Date().toISOString().replace(/\.\d+/, '');
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now });
  return result === 'succeeds'
    ? {
        startTime: now,
        completionTime: now,
        succeeded: 1,
        conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
      }
    : { startTime: now, failed: 1, conditions: [condition('FailureTarget'), condition('Failed')] };
}
