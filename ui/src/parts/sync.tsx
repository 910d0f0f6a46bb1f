import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { post } from '../api.ts';
import { announce } from '../format.tsx';
import { usePage } from '../page.ts';
import type { SyncAnswer } from '../types.ts';
import { useAttempt } from './attempt.ts';
import { Problem } from './notice.tsx';

export function SyncButton({ mapping }: { readonly mapping: string }): VNode | null {
  const { may } = usePage();
  const attempt = useAttempt();
  const [result, setResult] = useState('');
  if (!may('operator')) return null;

  const run = (): Promise<void> =>
    attempt.run(async () => {
      setResult('');
      const text = summary(await post('/api/v1/mappings/{name}/sync', { path: { name: mapping } }));
      setResult(text);
      announce(`${mapping}: ${text}`);
    });
  return (
    <div>
      <button
        type="button"
        class="small"
        aria-label={`Sync now: ${mapping}`}
        aria-disabled={attempt.busy}
        onClick={run}
      >
        Sync now
      </button>
      <span class="muted"> {attempt.busy ? 'running…' : result}</span>
      {attempt.error !== undefined && <Problem error={attempt.error} />}
    </div>
  );
}

export function summary({ summary: counts, pending }: Pick<SyncAnswer, 'summary' | 'pending'>): string {
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([word, count]) => `${count} ${word}`);
  if (pending > 0) parts.push(`${pending} still running`);
  return parts.length === 0 ? 'nothing to do' : parts.join(', ');
}
