import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';

// Measures a lower bound for the time that it takes to create or change Secrets. A plain loop sends server-side applies over one
// shared agent. Runs as a separate process, `apply.ts FILE`, and prints the duration of the loop.

interface Work {
  readonly address: string;
  readonly caFile: string;
  readonly token: string;
  readonly namespace: string;
  readonly concurrency: number;
  /** `body` is the complete Secret as JSON. */
  readonly secrets: readonly { readonly name: string; readonly body: string }[];
}

const { address, caFile, token, namespace, concurrency, secrets } = JSON.parse(
  readFileSync(process.argv[2] ?? '', 'utf8'),
) as Work;
const dispatcher = new Agent({ allowH2: false, connections: 32, connect: { ca: readFileSync(caFile) } });
const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/apply-patch+yaml' };

const startedAt = performance.now();
const entries = secrets.values();
const worker = async (): Promise<void> => {
  for (const { name, body } of entries) {
    const url = `${address}/api/v1/namespaces/${namespace}/secrets/${name}?fieldManager=floor`;
    const answer = await request(url, { method: 'PATCH', dispatcher, headers, body });
    const text = await answer.body.text();
    if (![200, 201].includes(answer.statusCode))
      throw new Error(`${answer.statusCode}: ${text.slice(0, 500)}`);
  }
};
await Promise.all(Array.from({ length: concurrency }, worker));
const ms = performance.now() - startedAt;
await dispatcher.close();
process.stdout.write(JSON.stringify({ ms }));
