import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { KubeClient } from '../../src/cluster/client.ts';
import { watchSecrets } from '../../src/cluster/watches.ts';
import { createLog } from '../conformance/cluster-watch-log.ts';
import { status } from './api-server.ts';
import { item, list } from './watch-server.ts';

const FAULTS = ['cut', 'end', 'garbage', 'half a line', 'forget', 'refuse a list', 'refuse a watch'] as const;
const NAMES = ['a', 'b', 'c'] as const;

type Step =
  | { readonly do: 'write' | 'remove'; readonly name: (typeof NAMES)[number] }
  | { readonly do: 'bookmark' | 'turn' | (typeof FAULTS)[number] };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('write' as const), name: fc.constantFrom(...NAMES) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('remove' as const), name: fc.constantFrom(...NAMES) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('turn' as const, 'bookmark' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom(...FAULTS) }) },
);

/** Simulates an API server in memory, with objects, their history and one watch stream. */
function createServer() {
  const objects = new Map<string, number>();
  const history: { readonly version: number; readonly line: string }[] = [];
  let version = 100;
  let oldest = 0;
  const refusals = { list: 0, watch: 0 };
  let stream: ReadableStreamDefaultController<Uint8Array> | undefined;

  const lineOf = (type: string, object: object) => `${JSON.stringify({ type, object })}\n`;
  const push = (text: string) => stream?.enqueue(Buffer.from(text));
  const close = () => {
    stream?.close();
    stream = undefined;
  };
  const record = (type: string, name: string) => {
    version += 1;
    const line = lineOf(type, item(name, `${version}`));
    history.push({ version, line });
    push(line);
  };
  const answer = (code: number, body: object) => ({ status: code, headers: {}, text: JSON.stringify(body) });
  const refused = (kind: 'list' | 'watch') => {
    refusals[kind] -= 1;
    return refusals[kind] >= 0 ? answer(500, status(500, 'InternalError')) : undefined;
  };

  const client: Pick<KubeClient, 'send' | 'open'> = {
    async send() {
      const items = [...objects].map(([name, at]) => item(name, `${at}`));
      return refused('list') ?? answer(200, list(items, { resourceVersion: `${version}` }));
    },
    async open({ path, signal }) {
      const from = Number(new URLSearchParams(path.split('?')[1]).get('resourceVersion'));
      if (from < oldest) return answer(410, status(410, 'Expired'));
      const no = refused('watch');
      if (no !== undefined) return no;
      let mine: typeof stream;
      const leave = () => {
        if (stream === mine) stream = undefined;
      };
      const chunks = new ReadableStream<Uint8Array>({
        cancel: leave,
        start(controller) {
          mine = controller;
          stream = controller;
          signal.addEventListener('abort', () => {
            leave();
            controller.error(signal.reason);
          });
          for (const event of history) if (event.version > from) controller.enqueue(Buffer.from(event.line));
        },
      });
      return { status: 200, chunks };
    },
  };

  const act: Record<Exclude<Step['do'], 'write' | 'remove' | 'turn'>, () => void> = {
    bookmark: () => push(lineOf('BOOKMARK', { metadata: { resourceVersion: `${version}` } })),
    cut: () => {
      stream?.error(Object.assign(new Error('reset'), { code: 'ECONNRESET' }));
      stream = undefined;
    },
    end: close,
    garbage: () => push('{]\n'),
    'half a line': () => {
      push('{"type":"MODI');
      close();
    },
    forget: () => {
      oldest = version;
      push(lineOf('ERROR', status(410, 'Expired')));
    },
    'refuse a list': () => {
      refusals.list = 1;
    },
    'refuse a watch': () => {
      refusals.watch = 2;
    },
  };

  return {
    client: client as KubeClient,
    objects,
    async take(next: Step) {
      if (next.do === 'turn') await new Promise((resolve) => setImmediate(resolve));
      else if (next.do === 'write') {
        objects.set(next.name, version + 1);
        record('MODIFIED', next.name);
      } else if (next.do === 'remove') {
        if (objects.delete(next.name)) record('DELETED', next.name);
      } else act[next.do]();
    },
  };
}

it('a watch always reaches the current state, and never returns to an older version', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const server = createServer();
      const log = createLog();
      const tuning = { firstWaitMs: 0, longestWaitMs: 0, random: () => 0 };
      await using _ = watchSecrets(server.client, { namespace: 'team' }, log, tuning);
      for (const next of steps) await server.take(next);
      const truth = () => [...server.objects].sort().map(([name, version]) => `${name} ${version}`);
      const known = () =>
        [...log.now()].sort().map(([name, { resourceVersion }]) => `${name} ${resourceVersion}`);
      await log.until(({ listCount }) => listCount() > 0 && known().join() === truth().join(), 5_000);
      const seen = new Map<string, number>();
      for (const event of log.records) {
        const metas = event.kind === 'listed' ? event.found : event.kind === 'changed' ? [event.meta] : [];
        for (const { id, resourceVersion } of metas) {
          expect(Number(resourceVersion)).toBeGreaterThanOrEqual(seen.get(id.secret) ?? 0);
          seen.set(id.secret, Number(resourceVersion));
        }
      }
    }),
    { numRuns: 200 },
  );
});
