import type { KubernetesApi } from '../services/kubernetes-api.ts';
import { assertStatus } from '../services/kubernetes-api.ts';

interface Job {
  readonly metadata: { readonly name: string; readonly uid: string };
  readonly status: { readonly conditions?: readonly object[] };
}

/** What a Job comes to. It is called once for each, while nothing else goes on. */
export type Play = (name: string) => Promise<'succeeds' | 'fails'>;

/** Plays the controller of Jobs in a namespace, since the API server of the tests has none, until `work` is done. */
export async function withJobs<T>(
  { request }: Pick<KubernetesApi, 'request'>,
  namespace: string,
  play: Play,
  work: () => Promise<T>,
): Promise<T> {
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const seen = new Set<string>();
  let over = false;
  const loop = async () => {
    while (!over) {
      const { body } = await request<{ items: readonly Job[] }>('GET', jobs);
      for (const { metadata, status } of body.items) {
        if (seen.has(metadata.uid) || status.conditions !== undefined) continue;
        seen.add(metadata.uid);
        const answer = await request(
          'PATCH',
          `${jobs}/${metadata.name}/status`,
          JSON.stringify({ status: statusOf(await play(metadata.name)) }),
          { 'content-type': 'application/merge-patch+json' },
        );
        assertStatus(answer, 200, `the status of the Job ${metadata.name}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const running = loop();
  try {
    return await Promise.race([work(), running.then(() => Promise.reject(new Error('the loop ended')))]);
  } finally {
    over = true;
    await running;
  }
}

function statusOf(end: 'succeeds' | 'fails'): object {
  const now = new Date().toISOString().replace(/\.\d+/, '');
  const condition = (type: string) => ({ type, status: 'True', lastTransitionTime: now });
  return end === 'succeeds'
    ? {
        startTime: now,
        completionTime: now,
        succeeded: 1,
        conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
      }
    : { startTime: now, failed: 1, conditions: [condition('FailureTarget'), condition('Failed')] };
}
